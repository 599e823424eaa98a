"""The settings of registry:2: its config.yml and REGISTRY_* variables, as settings of khod.

config.yml ──┐
             ├──> tree ──> leaves ──> _MAPPED   settings of khod
REGISTRY_* ──┘                   ├──> _REFUSED  mistakes: it would be another server without
                                 └──> the rest  named once in a warning
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from kho.server import distribution_values as values
from kho.server.distribution_values import Rule
from kho.server.distribution_variables import FILE, Mistake, chosen, overlay, variables
from kho.server.distribution_yaml import MOST_CHARACTERS, NotYaml, Scalar, Tree, parse

__all__ = ["Mistake", "Translated", "translate"]

KEY: Final = "registry-config"
VERSIONS: Final = ("0.1",)
NOT_DRIVERS: Final = ("cache", "delete", "maintenance", "redirect", "tag")
PROVIDERS: Final = "allowed are htpasswd, token, or no auth at all"

_MAPPED: Final[Mapping[str, Rule]] = {
    "loglevel": Rule("log.level", values.level),
    "log.level": Rule("log.level", values.level),
    "log.formatter": Rule("log.format", values.formatter),
    "log.accesslog.disabled": Rule("log.access", values.negated),
    "storage.maintenance.uploadpurging.age": Rule("uploads.expire_hours", values.hours),
    "auth.htpasswd.realm": Rule("auth.realm", values.text),
    "auth.htpasswd.path": Rule("auth.htpasswd", values.text),
    "auth.token.realm": Rule("token.realm", values.text),
    "auth.token.service": Rule("token.service", values.text),
    "auth.token.issuer": Rule("token.issuer", values.text),
    "auth.token.rootcertbundle": Rule("token.rootcertbundle", values.text),
    "auth.token.jwks": Rule("token.jwks", values.text),
    "auth.token.signingalgorithms": Rule("token.algorithms", values.texts),
    "http.addr": Rule("listen", values.address),
    "http.host": Rule("http.public_url", values.host),
    "http.draintimeout": Rule("http.drain_seconds", values.seconds),
    "http.tls.certificate": Rule("tls.cert", values.text),
    "http.tls.key": Rule("tls.key", values.text),
    "http.tls.clientcas": Rule("tls.client_ca", values.only_one),
    "http.tls.clientauth": Rule("tls.client_auth", values.client_auth),
    "http.tls.minimumtls": Rule("tls.minimum", values.minimum_tls),
}
# What makes registry:2 another server: to go on without it would surprise.
_REFUSED: Final[Mapping[str, str]] = {
    "proxy.remoteurl": "a mirror of another registry is not available yet; allowed is no proxy",
    "http.prefix": "khod serves at the root only; allowed is /",
    "http.net": "khod listens on TCP only; allowed is tcp",
    "http.tls.letsencrypt": "allowed is a certificate in http.tls.certificate and http.tls.key,"
    " for example from certbot (see tls.acme_folder)",
}
_HARMLESS: Final = {"http.prefix": ("/",), "http.net": ("tcp",)}
# Known, without a meaning here. A leaf is reported under the longest of these that it begins with.
_IGNORED: Final = tuple(
    sorted(
        (
            *("log.fields", "log.hooks", "log.accesslog", "storage.cache", "storage.redirect"),
            *("storage.tag", "storage.maintenance.uploadpurging", "storage.filesystem.maxthreads"),
            *("auth.token.autoredirect", "auth.token.autoredirectpath", "http.secret"),
            *("http.relativeurls", "http.headers", "http.debug", "http.http2", "http.h2c"),
            *("http.tls.ciphersuites", "notifications", "redis", "health", "proxy", "validation"),
            *("middleware", "policy", "compatibility", "reporting"),
        ),
        key=len,
        reverse=True,
    )
)


class Given(NamedTuple):
    """The value of a setting of khod, and where it was written."""

    key: str
    source: str
    value: object


class Translated(NamedTuple):
    """What was found; a warning is a line of text."""

    given: list[Given]
    mistakes: list[Mistake]
    warnings: list[str]


def translate(path: str | None, environ: Mapping[str, str]) -> Translated:
    """Read config.yml (`path`, else REGISTRY_CONFIGURATION_PATH) and REGISTRY_*; never raises."""
    done = Translated([], [], [])
    path = path or environ.get(FILE) or None
    found = variables(environ)
    tree: dict[str, Tree] = {}
    if path:
        tree = _file_tree(path, done)
    unfit: list[str] = []
    for one in overlay(tree, found):
        if isinstance(one, Mistake):
            done.mistakes.append(one)
        else:
            unfit.append(one)
    _translate(tree, done, unfit)
    return done


def _file_tree(path: str, done: Translated) -> dict[str, Tree]:
    source = f"file {path}"
    try:
        with Path(path).open("rb") as file:
            tree = parse(file.read(4 * MOST_CHARACTERS).decode(), source)
    except OSError as error:
        done.mistakes.append(Mistake(KEY, source, f"cannot be read: {error.strerror}"))
        return {}
    except (UnicodeDecodeError, ValueError):
        done.mistakes.append(Mistake(KEY, source, "is not UTF-8, or has no name"))
        return {}
    except NotYaml as error:
        done.mistakes.append(Mistake(KEY, source, str(error)))
        return {}
    if not isinstance(tree, dict):
        done.mistakes.append(Mistake(KEY, source, "allowed is a map that begins with version: 0.1"))
        return {}
    version = tree.pop("version", None)
    if not isinstance(version, Scalar) or version.text not in VERSIONS:
        done.mistakes.append(Mistake("version", source, f"allowed is {', '.join(VERSIONS)}"))
    chosen(tree)
    return tree


def _translate(tree: dict[str, Tree], done: Translated, unfit: list[str]) -> None:
    """Everything that stands in the tree, section by section, then leaf by leaf."""
    ignored: dict[str, None] = {}
    done.given.extend(_storage(tree, done))
    done.given.extend(_auth(tree, done))
    done.given.extend(_pages(tree, done))
    for key, leaf in _leaves(tree, ""):
        if isinstance(leaf, Scalar) and leaf.empty:
            continue
        refused = next((name for name in _REFUSED if _below(key, name)), None)
        prefix = next((name for name in _IGNORED if _below(key, name)), None)
        if key in _MAPPED:
            _mapped(key, leaf, done)
        elif refused:
            if not isinstance(leaf, Scalar) or leaf.text not in _HARMLESS.get(refused, ()):
                done.mistakes.append(Mistake(key, values.source_of(leaf), _REFUSED[refused]))
        elif prefix:
            ignored[prefix] = None
        else:
            source = values.source_of(leaf)
            unfit.append(source.removeprefix("environment ") if "REGISTRY_" in source else key)
    if ignored:
        names = ", ".join(sorted(ignored))
        text = "these settings of registry:2 have no meaning here and are ignored: "
        done.warnings.append(text + names)
    if unfit:
        names = ", ".join(one[:80] for one in dict.fromkeys(unfit[:50]))
        done.warnings.append(f"no settings of registry:2, ignored: {names}")


def _mapped(key: str, leaf: Tree, done: Translated) -> None:
    rule = _MAPPED[key]
    source = values.source_of(leaf)
    try:
        value, warning = rule.convert(leaf)
    except ValueError as error:
        done.mistakes.append(Mistake(key, source, str(error)))
        return
    done.given.append(Given(rule.setting, source, value))
    if warning:
        done.warnings.append(f"{key}: {warning}")


def _below(key: str, name: str) -> bool:
    return key == name or key.startswith(name + ".")


def _leaves(tree: Tree, path: str) -> Iterator[tuple[str, Tree]]:
    """Scalars, and lists as a whole."""
    if not isinstance(tree, dict):
        yield path, tree
        return
    for name, value in tree.items():
        yield from _leaves(value, f"{path}.{name}" if path else name)


def _section(tree: dict[str, Tree], name: str, done: Translated) -> dict[str, Tree]:
    """A map of the tree, which may be empty or absent."""
    found = tree.get(name)
    if isinstance(found, dict):
        return found
    if found is not None and not (isinstance(found, Scalar) and found.empty):
        text = "allowed is a map of settings"
        done.mistakes.append(Mistake(name, values.source_of(found), text))
    tree.pop(name, None)
    return {}


def _storage(tree: dict[str, Tree], done: Translated) -> Iterator[Given]:
    """Where the bytes are; one driver, `filesystem` or `inmemory`."""
    section = _section(tree, "storage", done)
    drivers = [name for name in section if name not in NOT_DRIVERS]
    if len(drivers) > 1:
        text = f"{', '.join(drivers)} cannot be used together; allowed is one of them"
        done.mistakes.append(Mistake("storage", values.source_of(section), text))
    for name in drivers:
        source = values.source_of(section[name], values.source_of(section))
        if name == "inmemory":
            yield Given("storage", source, "memory://")
        elif name == "filesystem":
            yield from _filesystem(section, source, done)
            continue
        else:
            text = "is not available yet; allowed are filesystem and inmemory"
            done.mistakes.append(Mistake(f"storage.{name}", source, text))
        section[name] = {}
    _maintenance(section, done)


def _filesystem(section: dict[str, Tree], source: str, done: Translated) -> Iterator[Given]:
    driver = _section(section, "filesystem", done)
    root = driver.pop("rootdirectory", None)
    folder = values.ROOT
    if root is not None and not (isinstance(root, Scalar) and root.empty):
        source = values.source_of(root)
        try:
            folder = str(values.text(root)[0])
        except ValueError as error:
            done.mistakes.append(Mistake("storage.filesystem.rootdirectory", source, str(error)))
            return
    # The rows as well: whoever keeps one volume at this path keeps everything.
    yield Given("data", source, folder)
    yield Given("storage", source, values.folder_url(folder))
    done.warnings.append(
        f"images that registry:2 has put into {folder!a} are not listed until they are imported"
    )


def _maintenance(section: dict[str, Tree], done: Translated) -> None:
    read_only = _taken(section, "maintenance", "readonly", "enabled")
    if _switched(read_only, "storage.maintenance.readonly.enabled", done):
        done.warnings.append(
            "storage.maintenance.readonly.enabled has no meaning here: WRITES ARE ACCEPTED from"
            " whoever may write"
        )


def _taken(tree: dict[str, Tree], *path: str) -> Tree | None:
    """What stands at the path, which is taken out of the tree."""
    place: Tree | None = tree
    for name in path[:-1]:
        place = place.get(name) if isinstance(place, dict) else None
    return place.pop(path[-1], None) if isinstance(place, dict) else None


def _switched(leaf: Tree | None, key: str, done: Translated) -> bool | None:
    """The boolean; None when it is not given."""
    if leaf is None or (isinstance(leaf, Scalar) and leaf.empty):
        return None
    try:
        return values.switch(leaf)
    except ValueError as error:
        done.mistakes.append(Mistake(key, values.source_of(leaf), str(error)))
        return None


def _auth(tree: dict[str, Tree], done: Translated) -> Iterator[Given]:
    """One provider: `htpasswd` or `token`."""
    section = _section(tree, "auth", done)
    deletes = _switched(
        _taken(tree, "storage", "delete", "enabled"), "storage.delete.enabled", done
    )
    providers = list(section)
    if len(providers) > 1:
        text = f"{', '.join(providers)} cannot be used together; {PROVIDERS}"
        done.mistakes.append(Mistake("auth", values.source_of(section), text))
    for name in providers:
        source = values.source_of(section[name], values.source_of(section))
        if name not in {"htpasswd", "token"}:
            done.mistakes.append(Mistake(f"auth.{name}", source, f"is not available; {PROVIDERS}"))
            del section[name]
            continue
        provider = _section(section, name, done)
        for wanted in ("path",) if name == "htpasswd" else ("realm", "service", "issuer"):
            if values.absent(provider.get(wanted)):
                text = f"is missing; auth.{name} needs it"
                done.mistakes.append(Mistake(f"auth.{name}.{wanted}", source, text))
        if name == "htpasswd":
            yield Given("auth.challenge", source, "basic")
            # Whoever is in the file may do everything, as in registry:2.
            role = "writer" if deletes is False else "maintainer"
            yield Given("auth.htpasswd_role", source, role)
    if deletes is False and "htpasswd" not in providers:
        text = "has no meaning here: who may delete is said by roles (khod grants)"
        done.warnings.append(f"storage.delete.enabled: false {text}")


def _pages(tree: dict[str, Tree], done: Translated) -> Iterator[Given]:
    """Two bounds of registry:2 are one here: the higher one."""
    found: list[tuple[int, str]] = []
    for section, name in (("catalog", "maxentries"), ("tags", "maxtags")):
        leaf = _taken(tree, section, name)
        if leaf is None or (isinstance(leaf, Scalar) and leaf.empty):
            continue
        source = values.source_of(leaf)
        try:
            found.append((values.positive(leaf), source))
        except ValueError as error:
            done.mistakes.append(Mistake(f"{section}.{name}", source, str(error)))
    if found:
        most, source = max(found)
        if most > values.MOST_PAGE:
            text = f"pages of {most} entries are too long; {values.MOST_PAGE} it is"
            done.warnings.append(text)
        yield Given("limits.page", source, min(most, values.MOST_PAGE))
