"""What `kho sync` is told: a list of rules, written in YAML, JSON or TOML.

sync:                               defaults:            (both but the first may be left out)
  - from: docker.io/library/alpine    prune: true
    to: registry.example.com/alpine
    tags: ["3.*", latest]
    exclude: ["*-rc*"]
    platforms: [linux/amd64, linux/arm64]
    referrers: true
    prune: true
    allow_empty: false
    min_age: 3d
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kho.client.errors import Misused
from kho.oci.platform import Platform, PlatformInvalid

FILE_BYTES: Final = 4 * 1024 * 1024
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGE: Final = re.compile(r"([0-9]{1,9})([smhdw])", re.ASCII)
_WORDS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Rule:
    """Which tags go from where to where; globs of tags, where there are any, choose among them."""

    origin: str
    aim: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    platforms: tuple[Platform, ...] = ()
    referrers: bool = False
    prune: bool = False
    allow_empty: bool = False
    # Images whose config tells of a younger birth are left for later; in seconds.
    min_age: float = 0.0


def read_rules(path: Path) -> list[Rule]:
    """The rules of a file, by its suffix .yaml, .yml, .json or .toml; raise Misused."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise Misused(f"{path}: {error.strerror}") from error
    if len(content) > FILE_BYTES:
        raise Misused(f"{path}: longer than {FILE_BYTES} bytes")
    try:
        value = _load(path, content.decode())
    except (ValueError, RecursionError) as error:
        raise Misused(f"{path}: {error}") from error
    return parse_rules(value, str(path))


def _load(path: Path, text: str) -> Any:  # noqa: ANN401 - whatever the file holds
    if path.suffix == ".json":
        return json.loads(text)
    if path.suffix == ".toml":
        return tomllib.loads(text)
    import yaml  # noqa: PLC0415

    try:
        # All scalars stay text: a tag 1.10 is not the number 1.1.
        return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes text, lists, maps
    except yaml.YAMLError as error:
        raise ValueError(f"no YAML: {error}") from error


def parse_rules(value: object, where: str) -> list[Rule]:
    """The rules of a loaded file; Misused names the entry and what is allowed."""
    if not isinstance(value, dict) or not isinstance(value.get("sync"), list):
        raise Misused(f"{where}: expected a list `sync` of entries with `from` and `to`")
    _known(value, ("sync", "defaults"), where)
    defaults = value.get("defaults") or {}
    if not isinstance(defaults, dict):
        raise Misused(f"{where}: defaults: expected a map")
    rules = []
    for number, entry in enumerate(value["sync"], 1):
        place = f"{where}: entry {number}"
        if not isinstance(entry, dict):
            raise Misused(f"{place}: expected a map with `from` and `to`")
        rules.append(_rule({**defaults, **entry}, place))
    return rules


def _rule(entry: dict[str, object], place: str) -> Rule:
    _known(entry, tuple(_KEYS), place)
    fields: dict[str, Any] = {}
    for key, value in entry.items():
        name, kind = _KEYS[key]
        try:
            fields[name] = kind(value)
        except (ValueError, PlatformInvalid) as error:
            raise Misused(f"{place}: {key}: {error}") from error
    for key in ("from", "to"):
        if key not in entry:
            raise Misused(f"{place}: `{key}` is missing")
    return Rule(**fields)


def _known(entry: dict[str, object], keys: tuple[str, ...], place: str) -> None:
    for key in entry:
        if key not in keys:
            near = difflib.get_close_matches(str(key), keys, 1)
            hint = f"; the nearest is {near[0]}" if near else ""
            raise Misused(f"{place}: no such key: {key!a:.100}{hint}; known: {', '.join(keys)}")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ValueError("expected a list of texts; numbers need quotes")
    return tuple(value)


def _platforms(value: object) -> tuple[Platform, ...]:
    return tuple(map(Platform.parse, _texts(value)))


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    raise ValueError("expected true or false")


def age(value: object) -> float:
    """Seconds of `90s`, `15m`, `2h`, `3d`, `1w`; raise ValueError."""
    match = _AGE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected an age as 90s, 15m, 2h, 3d or 1w")
    return float(int(match[1]) * _UNITS[match[2]])


_KEYS: Final[dict[str, tuple[str, Callable[[object], Any]]]] = {
    "from": ("origin", _text),
    "to": ("aim", _text),
    "tags": ("include", _texts),
    "exclude": ("exclude", _texts),
    "platforms": ("platforms", _platforms),
    "referrers": ("referrers", _switch),
    "prune": ("prune", _switch),
    "allow_empty": ("allow_empty", _switch),
    "min_age": ("min_age", age),
}
