"""Every setting of khod, declared once: key, type, default, what is allowed, one line of help."""

import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import quote, unquote, urlsplit

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
STORAGE_SCHEMES = ("file", "memory")
DATABASE_SCHEMES = ("sqlite", "postgresql")

_WHOLE = re.compile(r"[0-9]{1,15}")
_SIZE = re.compile(r"([0-9]{1,12})\s?(B|KiB|MiB|GiB|TiB)?")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s?(ms|s|m|h|d)?")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]")
_LISTEN = re.compile(rf"({_HOST.pattern}):([0-9]{{1,5}})")
_USER = re.compile(r"[^:/?#@]*")
_SCHEME = re.compile(r"([a-z][a-z0-9]{0,30})://")


class Address(NamedTuple):
    """Where the server listens; port 0 lets the system choose."""

    host: str
    port: int

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
    if found is None or int(found[2]) > 65535:
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


def _whole(least: int, most: int, note: str = "") -> Kind:
    def parse(value: object) -> int:
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError
        return value

    return Kind(f"a whole number from {least} to {most}{note}", parse, _shown)


def _size(least: int, most: int, note: str = "") -> Kind:
    def parse(value: object) -> int:
        found = _SIZE.fullmatch(value) if isinstance(value, str) else None
        if found:
            value = int(found[1]) * UNITS[found[2] or "B"]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError
        return value

    span = f"from {show_size(least)} to {show_size(most)}"
    return Kind(f'bytes or a size such as "4 MiB", {span}{note}', parse, show_size)


def _duration(unit: str, least: float, most: float) -> Kind:
    def parse(value: object) -> float:
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        number = _number(value)
        if found:
            number = float(found[1]) * SECONDS[found[2] or unit] / SECONDS[unit]
        if number is None or not least <= number <= most:
            raise ValueError
        return float(number)

    names = {"s": "seconds", "h": "hours"}
    span = f"from {least:g}{unit} to {most:g}{unit}"
    allowed = f'{names[unit]} or a duration such as "90s", "15m", "2h", "7d", {span}'
    return Kind(allowed, parse, lambda value: f"{value:g}{unit}")


def _switch() -> Kind:
    return Kind("true or false", _parse_flag, _shown)


def _choice(*names: str) -> Kind:
    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError
        return value

    return Kind("one of " + ", ".join(names), parse, _shown)


def _url(allowed: str, *schemes: str) -> Kind:
    def parse(value: object) -> str:
        if value == "":
            return ""
        text = _text_of(value)
        scheme = _SCHEME.match(text)
        if scheme is None or scheme[1] not in schemes or not text.isascii() or " " in text:
            raise ValueError
        parts = urlsplit(text)
        _ = parts.port
        if scheme[1] in {"file", "sqlite"}:
            location = unquote(parts.path)
            if parts.netloc or location in {"", "/"} or not location.isprintable():
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


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Deadlines and bounds of the connections."""

    drain_seconds: float = setting(
        _duration("s", 0, 3600),
        30.0,
        "After SIGTERM, how long running requests may take before they are cut.",
    )
    header_seconds: float = setting(
        _duration("s", 0.1, 300),
        10.0,
        "How long a client may take to send the headers of a request, and how long an idle"
        " connection is kept.",
    )
    idle_seconds: float = setting(
        _duration("s", 0.1, 3600),
        30.0,
        "How long a client may take to send or to accept the next chunk of a body.",
    )
    minimum_rate: int = setting(
        _size(0, 2**30, "; 0 is no minimum"),
        1024,
        "Bytes per second that a body must average once the grace has passed.",
    )
    grace_seconds: float = setting(
        _duration("s", 0, 3600),
        30.0,
        "How long a body may stay below the minimum rate.",
    )
    max_connections: int = setting(
        _whole(1, 1_000_000),
        4096,
        "Connections that one worker serves at once; further ones wait.",
    )
    backlog: int = setting(
        _whole(128, 65535),
        8192,
        "Connections that may wait to be accepted (the system's net.core.somaxconn bounds it too).",
    )


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """How large things may be."""

    manifest_bytes: int = setting(
        _size(1024, 64 * 2**20), 4 * 2**20, "Largest manifest that is accepted."
    )
    page: int = setting(
        _whole(1, 10_000), 1000, "Most entries in one page of tags, repositories or referrers."
    )
    tags_per_request: int = setting(
        _whole(1, 1000), 64, "Most tags that one manifest push may set with `?tag=`."
    )
    blob_bytes: int = setting(
        _size(0, 2**50, "; 0 is no limit"), 0, "Largest blob that is accepted."
    )


@dataclass(frozen=True, slots=True)
class UploadSettings:
    """Uploads that were begun and not finished."""

    expire_hours: float = setting(
        _duration("h", 0.01, 8760),
        168.0,
        "How long an upload without progress is kept for its client to resume.",
    )


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Lines on standard error."""

    level: str = setting(
        _choice("debug", "info", "warning", "error"), "info", "Least severe event that is logged."
    )
    format: str = setting(_choice("json", "text"), "json", "One JSON object or one plain line.")
    access: bool = setting(_switch(), default=True, text="Log a line for every request.")


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """Figures for Prometheus."""

    enabled: bool = setting(_switch(), default=True, text="Serve `/metrics`.")


@dataclass(frozen=True, slots=True)
class Config:
    """The whole tree. `sources` names where each value came from, by key."""

    data: Path = setting(  # noqa: RUF009
        Kind("the path of a folder", _parse_path, _show_path),
        Path("data"),
        "Folder of everything that the server keeps; created when absent.",
        restart=True,
    )
    listen: Address = setting(  # noqa: RUF009
        Kind("HOST:PORT, for example 127.0.0.1:5000 or [::]:5000", _parse_address, str),
        Address("127.0.0.1", 5000),
        "Address and port to serve on; port 0 takes a free one.",
        restart=True,
    )
    workers: int = setting(
        _whole(0, 1024, "; 0 is one per core"), 0, "Number of worker processes.", restart=True
    )
    storage: str = setting(
        _url('"" (the data folder), file:///folder or memory:// (for tests)', *STORAGE_SCHEMES),
        "",
        "Where blobs are kept.",
        url=True,
        restart=True,
    )
    database: str = setting(
        _url(
            '"" (kho.db in the data folder), sqlite:////absolute/file or'
            " postgresql://user@host/name",
            *DATABASE_SCHEMES,
        ),
        "",
        "Where rows are kept.",
        url=True,
        restart=True,
    )
    http: HttpSettings = field(default_factory=HttpSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    uploads: UploadSettings = field(default_factory=UploadSettings)
    log: LogSettings = field(default_factory=LogSettings)
    metrics: MetricSettings = field(default_factory=MetricSettings)
    sources: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def worker_count(self) -> int:
        """How many workers run: one per usable core when `workers` is 0."""
        if self.workers:
            return self.workers
        return 1 if self.storage.startswith("memory:") else usable_cores()

    @property
    def storage_url(self) -> str:
        """The storage's URL, with the default filled in."""
        return self.storage or "file://" + quote(str(self.data.absolute()))

    @property
    def database_url(self) -> str:
        """The database's URL, with the default filled in."""
        return self.database or f"sqlite:///{quote(str(self.data.absolute() / 'kho.db'))}"


SECTIONS: dict[str, type] = {
    "http": HttpSettings,
    "limits": LimitSettings,
    "uploads": UploadSettings,
    "log": LogSettings,
    "metrics": MetricSettings,
}


def _declared(prefix: str, section: type) -> Iterator[Setting]:
    for one in fields(section):
        if "kind" in one.metadata:
            kind = cast("Kind", one.metadata["kind"])
            marks = (one.metadata["url"], one.metadata["restart"])
            yield Setting(prefix + one.name, kind, one.default, one.metadata["help"], *marks)


SETTINGS: dict[str, Setting] = {
    one.key: one
    for prefix, section in (("", Config), *((name + ".", part) for name, part in SECTIONS.items()))
    for one in _declared(prefix, section)
}


def usable_cores() -> int:
    """Cores that this process may use, by affinity and by the quota of its cgroup."""
    cores = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    return max(1, cores)


def value_of(config: Config, key: str) -> object:
    """The value of a setting by its key: `http.idle_seconds`."""
    section, _, name = key.rpartition(".")
    return getattr(getattr(config, section) if section else config, name)
