"""Names and versions in rpm's database of today, an SQLite file with a header for each package.

header: entries, bytes (4 each, big-endian), then tag, type, offset, count of each entry, then data
"""

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from struct import Struct
from typing import Final

_NAME, _VERSION, _RELEASE, _EPOCH = 1000, 1001, 1002, 1003
_INT32, _STRING = 4, 6
_ENTRIES: Final = 100_000
_HEAD: Final = Struct(">II")
_ENTRY: Final = Struct(">IIII")
_NUMBER: Final = Struct(">I")


def rpm_packages(content: bytes) -> Iterator[tuple[str, str]]:
    """Name and `[epoch:]version-release`; none where it is no such database."""
    with tempfile.NamedTemporaryFile(suffix=".sqlite") as file:
        file.write(content)
        file.flush()
        with contextlib.suppress(sqlite3.Error):
            yield from _read(file.name)


def _read(path: str) -> Iterator[tuple[str, str]]:
    database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    with contextlib.closing(database):
        database.execute("PRAGMA trusted_schema=OFF")
        for (blob,) in database.execute("SELECT blob FROM Packages"):
            found = _header(blob) if isinstance(blob, bytes) else None
            if found is not None:
                yield found


def _header(blob: bytes) -> tuple[str, str] | None:
    if len(blob) < _HEAD.size:
        return None
    count, _ = _HEAD.unpack_from(blob)
    data = _HEAD.size + count * _ENTRY.size
    if count > _ENTRIES or data > len(blob):
        return None
    fields: dict[int, str] = {}
    for at in range(_HEAD.size, data, _ENTRY.size):
        tag, kind, offset, _ = _ENTRY.unpack_from(blob, at)
        start = data + offset
        if tag in {_NAME, _VERSION, _RELEASE} and kind == _STRING:
            end = blob.find(b"\0", start)
            fields[tag] = blob[start : end if end >= 0 else start].decode("utf-8", "replace")
        elif tag == _EPOCH and kind == _INT32 and start + _NUMBER.size <= len(blob):
            fields[tag] = str(_NUMBER.unpack_from(blob, start)[0])
    if _NAME not in fields:
        return None
    epoch = f"{fields[_EPOCH]}:" if fields.get(_EPOCH, "0") != "0" else ""
    return fields[_NAME], f"{epoch}{fields.get(_VERSION, '')}-{fields.get(_RELEASE, '')}"
