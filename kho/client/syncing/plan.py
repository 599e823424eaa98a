"""From where to where a rule of `kho sync` leads: pairs of repositories, and globs of tags.

host/team/**      ─► the catalog ─► host/team/a, host/team/b/c
to: mirror/x          │ what stands before the first * is left out of the name
                      └► mirror/x/a, mirror/x/b/c
host/a:1.*        ─► host/a, tags that match
oci:folder:1.*    ─► a layout, names that match
"""

import re
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from kho.client.errors import Misused
from kho.client.stores.journal import Journal
from kho.client.stores.layout import Layout
from kho.client.stores.registry_store import RegistryStore
from kho.client.syncing.file import Rule
from kho.oci.reference import Reference, parse_host, parse_name, parse_tag
from kho.remote.registry import Registry
from kho.remote.repositories import repositories

Store = Layout | RegistryStore

_OCI: Final = "oci:"
_DOCKER: Final = "docker://"
_WILD: Final = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class Pair:
    """One repository and where its tags go; `rename` is the name of the only tag there."""

    source: Store
    target: Store
    rule: Rule
    rename: str | None = None


@dataclass(frozen=True, slots=True)
class _End:
    """One side as it is written: `host` is None for a layout, `path` its folder then."""

    host: str | None
    path: str
    tag: str | None

    @property
    def wild(self) -> bool:
        """Whether it stands for many repositories."""
        return self.host is not None and _WILD.search(self.path) is not None


@dataclass(frozen=True, slots=True)
class _Ends:
    """A rule as it is read: both sides, the globs of tags, and the only tag's name there."""

    origin: _End
    aim: _End
    rule: Rule
    rename: str | None


def check(rule: Rule) -> None:
    """Raise Misused or ReferenceInvalid for a rule that makes no sense."""
    _ends(rule)


def _ends(rule: Rule) -> _Ends:
    origin = _end(rule.origin)
    aim = _aim(rule.aim, origin)
    if origin.tag is not None:
        if rule.include:
            raise Misused(f"{rule.origin}: tags are given here and by `tags`; allowed is one")
        rule = replace(rule, include=(origin.tag,))
    if aim.tag is not None and (origin.wild or not literal(rule) or len(rule.include) != 1):
        raise Misused(f"{rule.aim}: a tag here needs a source with one tag")
    if aim.tag is not None and rule.prune:
        raise Misused(f"{rule.aim}: one tag alone cannot be pruned")
    return _Ends(origin, aim, rule, aim.tag)


async def pairs(
    rule: Rule, registry: Callable[[str], Registry], journal: Journal | None = None
) -> AsyncIterator[Pair]:
    """The repositories of a rule, as `check` has let it pass; raise what the catalog raises."""
    ends = _ends(rule)
    origin, aim = ends.origin, ends.aim
    if not origin.wild:
        yield Pair(
            _open(origin, origin.path, registry, None),
            _open(aim, aim.path, registry, journal),
            ends.rule,
            ends.rename,
        )
        return
    assert origin.host is not None
    fixed = re.split(_WILD, origin.path, maxsplit=1)[0].rpartition("/")[0]
    async for name in repositories(registry(origin.host)):
        if matches(origin.path, name):
            rest = name.removeprefix(f"{fixed}/" if fixed else "")
            path = f"{aim.path}/{rest}" if aim.path else rest
            source = RegistryStore(registry(origin.host), name)
            yield Pair(source, _open(aim, path, registry, journal), ends.rule)


def _open(
    end: _End, path: str, registry: Callable[[str], Registry], journal: Journal | None
) -> Store:
    if end.host is None:
        return Layout(Path(path))
    return RegistryStore(registry(end.host), parse_name(path), journal)


def _end(text: str) -> _End:
    """`oci:folder[:tags]`, `[docker://]host/name[:tags]`, where * may stand in name and tags."""
    if text.startswith(_OCI):
        folder, colon, tag = text.removeprefix(_OCI).partition(":")
        if not folder:
            raise Misused(f"{text!a:.300} names no folder: expected oci:folder[:tags]")
        return _End(None, folder, tag if colon and tag else None)
    bare = text.removeprefix(_DOCKER)
    if "@" in bare:
        raise Misused(f"{text!a:.300}: sync copies tags; for a digest there is `kho copy`")
    name, tag = bare, ""
    if ":" in bare.rpartition("/")[2] and "/" in bare:
        name, _, tag = bare.rpartition(":")
    # A letter stands for the stars while the rest is read as a reference.
    stars = _WILD.sub("0", name)
    found = Reference.parse_bare(stars)
    path = name.removeprefix(f"{found.host}/") if _WILD.search(name) else found.repository
    if tag and not _WILD.search(tag):
        parse_tag(tag)
    return _End(found.host, path, tag or None)


def _aim(text: str, origin: _End) -> _End:
    """The other side: no stars; below a host alone, a namespace keeps its names."""
    if _WILD.search(text):
        raise Misused(f"{text!a:.300}: no * in what is copied to")
    bare = text.removeprefix(_DOCKER).rstrip("/")
    if text.startswith(_OCI) or not origin.wild:
        return _end(text)
    if "/" not in bare:
        return _End(parse_host(bare), "", None)
    found = _end(f"{bare}/0")  # what is written is a namespace, whatever it looks like
    return _End(found.host, found.path.removesuffix("/0"), None)


def literal(rule: Rule) -> bool:
    """Whether a rule names its tags in full."""
    return bool(rule.include) and not any(map(_WILD.search, rule.include))


def selects(rule: Rule, tag: str) -> bool:
    """Whether a rule is about a tag."""
    wanted = not rule.include or _any(rule.include, tag)
    return wanted and not _any(rule.exclude, tag)


def _any(globs: Iterable[str], text: str) -> bool:
    return any(matches(one, text) for one in globs)


def matches(glob: str, text: str) -> bool:
    """`*` is anything within a component, `**` anything, `?` one character; all else is itself."""
    return _compiled(glob).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _compiled(glob: str) -> re.Pattern[str]:
    wild = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*+|[*?])", glob)
    return re.compile("".join(wild.get(one[:2]) or re.escape(one) for one in parts))
