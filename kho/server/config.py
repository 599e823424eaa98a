"""One frozen tree of settings from flags, environment and a file; all mistakes told at once."""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kho.server.distribution import translate
from kho.server.setting import Setting, mask_url
from kho.server.settings import SECTIONS, SETTINGS, Config, value_of

__all__ = [
    "Config",
    "ConfigError",
    "Described",
    "Problem",
    "changed",
    "describe",
    "load",
    "settings_page",
]

SECRET_BYTES = 65536
FILE_FLAGS = ("config", "registry_config")  # name files, and are no settings
SHORT_FLAGS = {"auth.open": "open", "http.public_url": "public-url"}
OF_TESTS = ("KHO_TEST_", "KHO_INTEROP", "KHO_BENCH", "KHO_FAULTS")
OF_KHO = frozenset({"KHO_STORE", "KHO_TOKEN", "KHO_TOKEN_FILE", "KHO_ID_TOKEN"})  # the client
# Kubernetes and old Docker links put KHO_PORT=tcp://... and the like beside a service named kho.
_INJECTED = re.compile(
    r"KHO_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_[0-9]+_(?:TCP|UDP)(?:_\w+)?)?)"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: which key, where it was written, what is wrong and what is allowed."""

    key: str
    source: str
    text: str

    def __str__(self) -> str:
        return _harmless(f"{self.key} ({self.source}): {self.text}")


class ConfigError(Exception):
    """The configuration has mistakes; `problems` holds all of them."""

    def __init__(self, problems: list[Problem]) -> None:
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        lines = [f"{count} in the configuration:", *(f"  {problem}" for problem in problems)]
        super().__init__("\n".join(lines))
        self.problems = problems


class Described(NamedTuple):
    """A setting as `khod config show` prints it."""

    key: str
    value: str | int | float | bool
    source: str


class _Given(NamedTuple):
    key: str
    source: str
    value: object


def load(flags: Mapping[str, object], environ: Mapping[str, str]) -> Config:
    """Settings from `flags` (by key), else KHO_*, else the file, else REGISTRY_*, else defaults.

    The file is `flags["config"]` or KHO_CONFIG. Raises ConfigError with every mistake.
    """
    problems: list[Problem] = []
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    translated = translate(_text_or_none(flags.get("registry_config")), environ)
    problems += [Problem(*mistake) for mistake in translated.mistakes]
    given = [
        *(_Given(*one) for one in translated.given),
        *_from_khod(flags, environ, problems),
    ]
    for one in given:
        known = SETTINGS.get(one.key)
        if known is None:
            problems.append(Problem(one.key, one.source, _unknown(one.key, SETTINGS)))
            continue
        try:
            values[one.key] = known.kind.parse(one.value)
        except ValueError:
            problems.append(Problem(one.key, one.source, _refused(one.value, known)))
        else:
            sources[one.key] = one.source
    if values.get("storage") == "memory://" and values.setdefault("workers", 1) not in {0, 1}:
        text = "workers do not share memory:// storage; allowed is 1"
        problems.append(Problem("workers", sources["workers"], text))
    if problems:
        raise ConfigError(problems)
    return _build(values, sources, tuple(map(_harmless, translated.warnings)))


def _from_khod(
    flags: Mapping[str, object], environ: Mapping[str, str], problems: list[Problem]
) -> Iterator[_Given]:
    """The file, the environment, the flags: what comes later counts."""
    path = flags.get("config") or environ.get("KHO_CONFIG")
    if path:
        yield from _from_file(Path(str(path)), problems)
    yield from _from_environment(environ, problems)
    for key, value in flags.items():
        if key not in FILE_FLAGS and value is not None:
            yield _Given(key, _flag(key), value)


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)


def _flag(key: str) -> str:
    """The flag of a setting: `tls.cert` is --tls-cert; some have a shorter one."""
    return "flag --" + SHORT_FLAGS.get(key, re.sub("[._]", "-", key))


def describe(config: Config) -> list[Described]:
    """Every setting with its value, passwords masked, and where the value came from."""
    return [
        Described(key, one.kind.show(value_of(config, key)), config.sources.get(key, "default"))
        for key, one in SETTINGS.items()
    ]


def changed(old: Config, new: Config) -> list[Setting]:
    """The settings whose values differ."""
    return [one for key, one in SETTINGS.items() if value_of(old, key) != value_of(new, key)]


def settings_page() -> str:
    """The text of docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Each setting comes from a flag, else from the environment, else from the file given by",
        "`--config` or `KHO_CONFIG` (TOML), else from what `registry:2` would read",
        "(`--registry-config`, `REGISTRY_*`: [from-registry-2.md](operate/from-registry-2.md)),",
        "else from its default. `khod config check` tells every mistake at once (exit code 2);",
        "`khod config show` prints each value with its source.",
        "",
        "`KHO_DATABASE_FILE` and `KHO_STORAGE_FILE` name a file that holds the URL, for secrets.",
        "An empty variable counts as not set. Sizes are bytes or text such as `4 MiB`, durations",
        "are numbers in the unit of the key or text such as `90s`, `15m`, `2h`, `7d`.",
        "`SIGHUP` reloads all settings but those marked *restart*. This page is made by",
        "`khod config docs`.",
    ]
    for section in ("", *SECTIONS):
        lines += ["", f"## `[{section}]`" if section else "## Top level", ""]
        lines += ["| key | environment | default | allowed | meaning |", "|---|---|---|---|---|"]
        lines += (_row(one) for one in SETTINGS.values() if one.key.rpartition(".")[0] == section)
    lines += ["", "## Example", "", "```toml", *_example(), "```", ""]
    return "\n".join(lines)


def _from_file(path: Path, problems: list[Problem]) -> Iterator[_Given]:
    source = f"file {path}"
    try:
        tree = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        problems.append(Problem("config", source, f"cannot be read: {error.strerror}"))
        return
    except UnicodeDecodeError:
        problems.append(Problem("config", source, "is not UTF-8"))
        return
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        where = re.search(r"\(at [^)]*\)$", str(error))
        problems.append(Problem("config", source, f"is not TOML {where[0] if where else ''}"))
        return
    for name, value in tree.items():
        if name in SECTIONS and not isinstance(value, dict):
            problems.append(Problem(name, source, f"allowed is a table: [{name}]"))
        elif isinstance(value, dict) and name not in SETTINGS:
            yield from (_Given(f"{name}.{key}", source, inner) for key, inner in value.items())
        else:
            yield _Given(name, source, value)


def _from_environment(environ: Mapping[str, str], problems: list[Problem]) -> Iterator[_Given]:
    plain = {one.variable: one for one in SETTINGS.values()}
    by_file = {one.variable + "_FILE": one for one in SETTINGS.values() if one.url}
    for name, value in sorted(environ.items()):
        if not name.startswith("KHO_") or not value:
            continue
        if name in OF_KHO or name.startswith(OF_TESTS):
            continue
        source = f"environment {name}"
        if name in plain:
            yield _Given(plain[name].key, source, value)
        elif name in by_file and environ.get(by_file[name].variable):
            text = f"{by_file[name].variable} is set too; allowed is one of them"
            problems.append(Problem(by_file[name].key, source, text))
        elif name in by_file:
            yield from _from_secret(by_file[name].key, source, Path(value), problems)
        elif name != "KHO_CONFIG" and not _INJECTED.fullmatch(name):
            names = dict.fromkeys((*plain, *by_file, "KHO_CONFIG"))
            problems.append(Problem(name, "environment", _unknown(name, names)))


def _from_secret(key: str, source: str, path: Path, problems: list[Problem]) -> Iterator[_Given]:
    try:
        with path.open("rb") as file:
            text = file.read(SECRET_BYTES).decode()
    except OSError as error:
        problems.append(Problem(key, source, f"{str(path)!a} cannot be read: {error.strerror}"))
    except UnicodeDecodeError:
        problems.append(Problem(key, source, f"{str(path)!a} is not UTF-8"))
    else:
        yield _Given(key, source, text.rstrip("\r\n"))


def _harmless(text: str) -> str:
    """The text with control and bidirectional characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _unknown(key: str, names: Mapping[str, object]) -> str:
    nearest = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    return "no such setting" + (f"; the nearest is {nearest[0]}" if nearest else "")


def _refused(value: object, known: Setting) -> str:
    shown = mask_url(value) if isinstance(value, str) else value
    text = "the value" if known.url else f"{shown!a}"[:60]
    return f"{text} is not allowed; allowed is {known.kind.allowed}"


def _build(
    values: Mapping[str, object], sources: dict[str, str], warnings: tuple[str, ...]
) -> Config:
    parts: dict[str, dict[str, object]] = {"": {}, **{name: {} for name in SECTIONS}}
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        parts[section][name] = value
    sections = {name: kind(**parts[name]) for name, kind in SECTIONS.items()}
    top: dict[str, object] = {**parts[""], **sections, "sources": sources, "warnings": warnings}
    return Config(**top)  # type: ignore[arg-type]


def _literal(one: Setting) -> str:
    shown = one.kind.show(one.default)
    if isinstance(shown, bool):
        return "true" if shown else "false"
    return f'"{shown}"' if isinstance(shown, str) else str(shown)


def _row(one: Setting) -> str:
    allowed = one.kind.allowed.replace("|", "\\|")
    meaning = one.help + (" *restart*" if one.restart else "")
    name = one.key.rpartition(".")[2]
    return f"| `{name}` | `{one.variable}` | `{_literal(one)}` | {allowed} | {meaning} |"


def _example() -> Iterator[str]:
    section = ""
    for one in SETTINGS.values():
        table, _, name = one.key.rpartition(".")
        if table != section:
            section = table
            yield from ("", f"[{section}]")
        yield f"{name} = {_literal(one)}"
