"""Values of registry:2 as values of khod; ValueError says what is allowed."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from kho.server.distribution_yaml import Scalar, Tree

ROOT: Final = "/var/lib/registry"  # registry:2's default
MOST_PAGE: Final = 10_000

_TRUE: Final = ("true", "yes", "on", "y")
_FALSE: Final = ("false", "no", "off", "n")
_LEVELS: Final = {
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "error": "error",
    "trace": "debug",
    "warning": "warning",
    "fatal": "error",
    "panic": "error",
}
_CLIENT_AUTH: Final = {
    "require-and-verify-client-cert": "required",
    "verify-client-cert-if-given": "optional",
}
_DURATION: Final = re.compile(
    r"(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:ns|us|µs|μs|ms|s|m|h)"
)
_PART: Final = re.compile(r"([0-9.]+)([a-zµμ]+)")
_NANOSECONDS: Final = re.compile(r"[0-9]{1,18}")
_UNITS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}

Converted = tuple[object, str]  # the value, and a warning or nothing


class Rule(NamedTuple):
    """Which setting a leaf becomes, and how."""

    setting: str
    convert: Callable[[Tree], Converted]


def source_of(tree: Tree, otherwise: str = "settings of registry:2") -> str:
    """Where the first scalar of a tree was written."""
    if isinstance(tree, Scalar):
        return tree.source
    inner = list(tree.values()) if isinstance(tree, dict) else tree
    return source_of(inner[0], otherwise) if inner else otherwise


def absent(leaf: Tree | None) -> bool:
    """Whether nothing was written."""
    return leaf is None or (isinstance(leaf, Scalar) and not leaf.text)


def plain(leaf: Tree) -> str:
    """The text of a leaf."""
    if not isinstance(leaf, Scalar):
        raise ValueError("allowed is text")  # noqa: TRY004  a wrong value, whatever its type
    if not leaf.text.isprintable():
        raise ValueError("allowed is text that can be printed")
    return leaf.text


def text(leaf: Tree) -> Converted:
    """Text as it stands."""
    return plain(leaf), ""


def texts(leaf: Tree) -> Converted:
    """A list of texts."""
    if not isinstance(leaf, list):
        raise ValueError("allowed is a list")  # noqa: TRY004
    return [plain(one) for one in leaf], ""


def only_one(leaf: Tree) -> Converted:
    """The entry of a list of one."""
    entries = leaf if isinstance(leaf, list) else [leaf]
    if len(entries) != 1:
        raise ValueError("allowed is one file; certificates in PEM can stand in it one by one")
    return text(entries[0])


def switch(leaf: Tree) -> bool:
    """A boolean of YAML 1.1."""
    word = plain(leaf).lower()
    if word not in (*_TRUE, *_FALSE):
        raise ValueError("allowed is true or false")
    return word in _TRUE


def negated(leaf: Tree) -> Converted:
    """The opposite of a boolean."""
    return not switch(leaf), ""


def positive(leaf: Tree) -> int:
    """A whole number above 0."""
    word = plain(leaf)
    if not re.fullmatch(r"[0-9]{1,12}", word, re.ASCII) or not int(word):
        raise ValueError("allowed is a whole number above 0")
    return int(word)


def _duration(leaf: Tree) -> float:
    """A duration of Go in seconds; bare numbers are nanoseconds."""
    word = plain(leaf)
    if _NANOSECONDS.fullmatch(word):
        return int(word) / 1e9
    if not re.fullmatch(f"(?:{_DURATION.pattern}){{1,8}}", word):
        raise ValueError('allowed is a duration such as "30s" or "1h30m"')
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(word))


def seconds(leaf: Tree) -> Converted:
    """A duration as seconds."""
    return _duration(leaf), ""


def hours(leaf: Tree) -> Converted:
    """A duration as hours."""
    return _duration(leaf) / 3600, ""


def _one_of(leaf: Tree, names: Mapping[str, str]) -> str:
    found = names.get(plain(leaf).lower())
    if found is None:
        raise ValueError(
            f"{plain(leaf)[:60]!a} is not allowed; allowed is one of {', '.join(names)}"
        )
    return found


def level(leaf: Tree) -> Converted:
    """A level of the log."""
    return _one_of(leaf, _LEVELS), ""


def formatter(leaf: Tree) -> Converted:
    """How lines of the log look."""
    known = {"text": "text", "json": "json", "logstash": "json"}
    plainer = "logstash is json here" if plain(leaf) == "logstash" else ""
    return _one_of(leaf, known), plainer


def address(leaf: Tree) -> Converted:
    """Host and port; `:5000` is every address."""
    word = plain(leaf)
    if word.startswith(":"):
        return _every_address() + word, ""
    return word, ""


def _every_address() -> str:
    """IPv6 takes IPv4 too, where the system has it."""
    return "[::]" if Path("/proc/net/if_inet6").exists() else "0.0.0.0"  # noqa: S104  as asked


def host(leaf: Tree) -> Converted:
    """What clients call the registry; registry:2 bears a slash at its end."""
    return plain(leaf).rstrip("/"), ""


def client_auth(leaf: Tree) -> Converted:
    """Whether clients must show a certificate."""
    return _one_of(leaf, _CLIENT_AUTH), ""


def minimum_tls(leaf: Tree) -> Converted:
    """The oldest version of TLS."""
    word = plain(leaf)
    known = {"tls1.0": "1.2", "tls1.1": "1.2", "tls1.2": "1.2", "tls1.3": "1.3"}
    older = f"{word} is too old, TLS 1.2 it is" if word in {"tls1.0", "tls1.1"} else ""
    return _one_of(leaf, known), older


def folder_url(folder: str) -> str:
    """The URL of a folder; a relative one is below the working folder."""
    return "file://" + quote(str(Path(folder).absolute()))
