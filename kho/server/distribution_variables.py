"""REGISTRY_* variables laid over the tree of config.yml, by the rules of registry:2.

    REGISTRY_HTTP_TLS_CLIENTCAS_0=/ca.pem   ──>   http: {tls: {clientcas: [/ca.pem]}}

Upper-case keys joined by `_`, lists by index (the next index appends), each value YAML, in the
order of the names: a parent comes before its children.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final, NamedTuple

from kho.server.distribution_yaml import NotYaml, Scalar, Tree, parse

PREFIX: Final = "REGISTRY_"
FILE: Final = "REGISTRY_CONFIGURATION_PATH"
MOST_PARTS: Final = 12
SECTIONS: Final = frozenset(
    (
        *("version", "log", "loglevel", "storage", "auth", "middleware", "http", "notifications"),
        *("redis", "health", "proxy", "validation", "catalog", "tags", "policy"),
        *("compatibility", "reporting"),
    )
)
# Sections that may be a single word instead of a map: the name of what is chosen.
_CHOICES: Final = ("auth", "storage")
# REGISTRY_AUTH_FILE is podman's. Kubernetes puts the others beside a service named registry.
_OF_OTHERS: Final = re.compile(
    r"REGISTRY_(?:AUTH_FILE|(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?"
    r"|PORT(?:_[0-9]+_(?:TCP|UDP)(?:_\w+)?)?))"
)


class Mistake(NamedTuple):
    """What is wrong: key, where it was written, text."""

    key: str
    source: str
    text: str


class Unsuited(Exception):
    """A variable whose path leads nowhere; it is ignored with a warning."""


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of registry:2, by name and in order, without those that others set."""
    return {
        name: value
        for name, value in sorted(environ.items())
        if name.startswith(PREFIX) and name != FILE and not _OF_OTHERS.fullmatch(name)
    }


def chosen(tree: dict[str, Tree]) -> None:
    """Turn `auth: htpasswd` into `auth: {htpasswd: null}`, in place."""
    for name in _CHOICES:
        value = tree.get(name)
        if isinstance(value, Scalar) and not value.empty:
            tree[name] = {value.text: Scalar("", value.source, empty=True)}


def overlay(tree: dict[str, Tree], found: Mapping[str, str]) -> Iterator[Mistake | str]:
    """Lay the variables over the tree; yields mistakes, and the names of those that do not fit."""
    for name, value in found.items():
        source = f"environment {name}"
        parts = name.removeprefix(PREFIX).split("_")
        if parts[0].lower() not in SECTIONS or len(parts) > MOST_PARTS:
            yield name
            continue
        if parts == ["VERSION"]:
            continue
        try:
            _put(tree, parts, parse(value, source))
        except NotYaml as error:
            yield Mistake(_path(parts), source, f"the value {error}; allowed is YAML")
        except IndexError as error:
            yield Mistake(_path(parts), source, str(error))
        except Unsuited:
            yield name
        chosen(tree)


def _path(parts: list[str]) -> str:
    return ".".join(parts).lower()


def _put(tree: dict[str, Tree], parts: list[str], value: Tree) -> None:
    """Set what the path names, making what is not there yet."""
    place: Tree = tree
    for part, following in pairwise(parts):
        key = _key(place, part)
        inner = _get(place, key)
        if inner is None or (isinstance(inner, Scalar) and inner.empty):
            inner = [] if following.isdecimal() else {}
            _set(place, key, inner)
        place = inner
    _set(place, _key(place, parts[-1]), value)


def _key(place: Tree, part: str) -> str | int:
    """The key of a map in the case that it has there, or the index of a list."""
    if isinstance(place, dict):
        return next((key for key in place if key.upper() == part), part.lower())
    if isinstance(place, list):
        if not part.isascii() or not part.isdecimal() or int(part[:6]) > len(place):
            raise IndexError(f"{part!a} is no index here; allowed are 0 to {len(place)}")
        return int(part)
    raise Unsuited


def _get(place: Tree, key: str | int) -> Tree | None:
    if isinstance(place, dict) and isinstance(key, str):
        return place.get(key)
    if isinstance(place, list) and isinstance(key, int) and key < len(place):
        return place[key]
    return None


def _set(place: Tree, key: str | int, value: Tree) -> None:
    if isinstance(place, dict) and isinstance(key, str):
        place[key] = value
    elif isinstance(place, list) and isinstance(key, int):
        place[key : key + 1] = [value]
