"""One setting: how its value is read, checked and printed."""

import ipaddress
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
MAX_PORT = 65535
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

_WHOLE = re.compile(r"[0-9]{1,15}")
_SIZE = re.compile(r"([0-9]{1,12})\s?(B|KiB|MiB|GiB|TiB)?")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s?(ms|s|m|h|d)?")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]")
_LISTEN = re.compile(rf"({_HOST.pattern}):([0-9]{{1,5}})")
_USER = re.compile(r"[^:/?#@]*")
_SCHEME = re.compile(r"([a-z][a-z0-9]{0,30})://")


@lru_cache(maxsize=8)  # each request asks
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Address(NamedTuple):
    """Where the server listens; port 0 lets the system choose."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return _is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Kind(NamedTuple):
    """How the value of a setting is read (ValueError when it is not allowed) and printed."""

    allowed: str
    parse: Callable[[object], object]
    show: Callable[[Any], str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of one setting, as the files, the documentation and the errors see it."""

    key: str
    kind: Kind
    default: object
    help: str
    url: bool
    restart: bool

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return "KHO_" + self.key.replace(".", "_").upper()


def _shown(value: Any) -> Any:  # noqa: ANN401
    return value


def _show_path(path: Path) -> str:
    return str(path) if path.is_absolute() or path.parts[:1] == ("..",) else f"./{path}"


def _text_of(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError
    return value


def _parse_path(value: object) -> Path:
    return Path(_text_of(value))


def _parse_address(value: object) -> Address:
    found = _LISTEN.fullmatch(_text_of(value))
    if found is None or int(found[2]) > MAX_PORT:
        raise ValueError
    return Address(found[1].strip("[]"), int(found[2]))


def _parse_flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    named = {"true": True, "on": True, "yes": True, "1": True}
    named |= {"false": False, "off": False, "no": False, "0": False}
    if not isinstance(value, str) or value.lower() not in named:
        raise ValueError
    return named[value.lower()]


def _number(value: object) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def path_kind() -> Kind:
    """Path of a folder."""
    return Kind("the path of a folder", _parse_path, _show_path)


def file_kind() -> Kind:
    """Path of a file, or empty for none."""
    return Kind(
        'the path of a file, or ""', lambda value: "" if value == "" else _text_of(value), str
    )


def text_kind(allowed: str, pattern: str = r".{0,1024}") -> Kind:
    """A line of text; `allowed` says in words what `pattern` lets through."""

    def parse(value: object) -> str:
        if value == "" and re.fullmatch(pattern, ""):
            return ""
        text = _text_of(value)
        if not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return Kind(allowed, parse, _shown)


def secret_kind() -> Kind:
    """A password or key: never printed."""
    return Kind("a secret", lambda value: _text_of(value) if value else "", _masked)


def _masked(value: str) -> str:
    return "***" if value else ""


def list_kind(allowed: str, check: Callable[[str], object]) -> Kind:
    """A list, or text with commas; `check` raises ValueError for a wrong entry."""

    def parse(value: object) -> tuple[str, ...]:
        given = value.split(",") if isinstance(value, str) else value
        if not isinstance(given, list | tuple):
            raise ValueError  # noqa: TRY004  a wrong value, wherever it was written
        found = tuple(_text_of(part).strip() for part in given if part != "")
        for part in found:
            check(part)
        return found

    return Kind(allowed, parse, ",".join)


def address_kind() -> Kind:
    """Host and port."""
    return Kind("HOST:PORT, for example 127.0.0.1:5000 or [::]:5000", _parse_address, str)


def whole_kind(least: int, most: int, note: str = "") -> Kind:
    """Whole numbers."""

    def parse(value: object) -> int:
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError
        return value

    return Kind(f"a whole number from {least} to {most}{note}", parse, _shown)


def size_kind(least: int, most: int, note: str = "") -> Kind:
    """Bytes, with or without a binary unit; 0 to 1024 TiB."""

    def parse(value: object) -> int:
        found = _SIZE.fullmatch(value) if isinstance(value, str) else None
        if found:
            value = int(found[1]) * UNITS[found[2] or "B"]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError
        return value

    span = f"from {show_size(least)} to {show_size(most)}"
    return Kind(f'bytes or a size such as "4 MiB", {span}{note}', parse, show_size)


def duration_kind(unit: str, least: float, most: float) -> Kind:
    """Durations; bare numbers are in `unit`, in which the value is kept."""

    def parse(value: object) -> float:
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        number = _number(value)
        if found:
            number = float(found[1]) * SECONDS[found[2] or unit] / SECONDS[unit]
        if number is None or not least <= number <= most:
            raise ValueError
        return float(number)

    names = {"s": "seconds", "h": "hours", "d": "days"}
    span = f"from {least:g}{unit} to {most:g}{unit}"
    allowed = f'{names[unit]} or a duration such as "90s", "15m", "2h", "7d", {span}'
    return Kind(allowed, parse, lambda value: f"{value:g}{unit}")


def switch_kind() -> Kind:
    """True or false."""
    return Kind("true or false", _parse_flag, _shown)


def choice_kind(*names: str) -> Kind:
    """One of a few words."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError
        return value

    return Kind("one of " + ", ".join(names), parse, _shown)


def url_kind(allowed: str, *schemes: str) -> Kind:
    """A URL of one of `schemes`, or empty for the default."""

    def parse(value: object) -> str:
        if value == "":
            return ""
        text = _text_of(value)
        scheme = _SCHEME.match(text)
        if scheme is None or scheme[1] not in schemes:
            raise ValueError
        if scheme[1] in {"file", "sqlite"}:
            # Taken as it stands for SQLite, percent-decoded for files: both must name something.
            location = unquote(text[scheme.end() :])
            if not location.startswith("/") or location == "/" or not location.isprintable():
                raise ValueError
        elif not text.isascii() or " " in text or urlsplit(text).port == 0:
            raise ValueError
        if scheme[1] == "memory" and text != "memory://":
            raise ValueError
        return text

    return Kind(allowed, parse, mask_url)


def show_size(size: int) -> str:
    """A number of bytes in the largest unit that divides it: `4 MiB`."""
    for unit in reversed(UNITS):
        if size and size % UNITS[unit] == 0:
            return f"{size // UNITS[unit]} {unit}"
    return "0"


def mask_url(url: str) -> str:
    """The URL with `***` for the password and for the values of its query; safe to print."""
    scheme, slashes, rest = url.partition("://")
    user, at, rest = (rest if slashes else url).rpartition("@")
    if at:
        name, colon = _USER.match(user), user.partition(":")[1]
        user = (name[0] if name else "") + (colon and ":***")
    place, mark, query = rest.partition("?")
    names = (part.partition("=")[0] + "=***" for part in query.split("&") if part)
    return (scheme + slashes if slashes else "") + user + at + place + mark + "&".join(names)


def setting(
    kind: Kind, default: object = None, text: str = "", *, url: bool = False, restart: bool = False
) -> Any:  # noqa: ANN401
    """Declare a field of a section; `restart` means that SIGHUP cannot change it."""
    return field(
        default=default, metadata={"kind": kind, "help": text, "url": url, "restart": restart}
    )
