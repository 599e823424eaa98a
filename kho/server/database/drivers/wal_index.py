"""The head of SQLite's WAL-index: bytes in shared memory that every commit changes.

    writers, any process ──commit──> <database>-shm: head, twice ──> readers compare it with theirs

A reader of SQLite looks there, at the start of each transaction, whether what it has cached is
still right. Whoever compares the head does the same, without a statement and its four changes of
the interpreter's lock. https://www.sqlite.org/walformat.html, section 2.1.

The memory is SQLite's own map, found where the system lists it. Mapping the file again would need a
descriptor of it, and closing that would drop the locks that SQLite holds on the file (fcntl(2)).
"""

import ctypes
import os
import sys
from typing import Final

# Two copies of 48 bytes: a commit writes the second, then the first.
HEAD_BYTES: Final = 96
_VERSION: Final = (3_007_000).to_bytes(4, sys.byteorder)
_MAPS: Final = "/proc/self/maps"
_FIELDS: Final = 6


def find_head(path: str) -> memoryview | None:
    """The head for the database file; None where it cannot be seen.

    Some connection of this process must have read already, and stay open while this is looked at.
    """
    try:
        wanted = os.path.realpath(path) + "-shm"
        inode = str(os.stat(wanted).st_ino)
        with open(_MAPS, encoding="utf-8", errors="surrogateescape") as maps:
            lines = [line.rstrip("\n").split(maxsplit=_FIELDS - 1) for line in maps]
    except OSError:
        return None
    for fields in lines:
        if fields[_FIELDS - 1 :] == [wanted] and fields[2:5:2] == ["00000000", inode]:
            return _view(int(fields[0].partition("-")[0], 16))
    return None


def _view(address: int) -> memoryview | None:
    view = memoryview((ctypes.c_char * HEAD_BYTES).from_address(address)).cast("B").toreadonly()
    return view if bytes(view[:4]) == _VERSION else None
