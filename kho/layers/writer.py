"""Entries to tar: the same bytes from the same entries, as every reader takes them."""

from collections.abc import Callable
from struct import Struct
from typing import Final

from kho.layers.compression import Readable
from kho.layers.errors import LayerRefused, shown
from kho.layers.limits import DEFAULT
from kho.layers.tar_header import BLOCK, Entry, Kind

_PIECE: Final = 256 * 1024
# name mode uid gid size mtime checksum type link magic version user group major minor prefix
_HEADER: Final = Struct("100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12x")
_CHECKSUM_AT: Final = 148
_BLANK_CHECKSUM: Final = b" " * 8
_NAME: Final = 100
_PREFIX: Final = 155
# Seven digits, and eleven, of octal.
_SHORT: Final = 1 << 21
_LONG: Final = 1 << 33
_NANO: Final = 10**9
# As `tar` ends: two blocks of zeros, and up to a record of twenty blocks.
_RECORD: Final = 20 * BLOCK
_MOST: Final = (1 << 63) - 1
_FLAGS: Final = {
    Kind.FILE: b"0",
    Kind.HARDLINK: b"1",
    Kind.SYMLINK: b"2",
    Kind.CHARACTER: b"3",
    Kind.BLOCK: b"4",
    Kind.DIRECTORY: b"5",
    Kind.FIFO: b"6",
}


class TarWriter:
    """Writes ustar, and a PAX header before an entry that ustar cannot say."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._count = 0

    def add(self, entry: Entry, content: Readable | None = None) -> None:
        """Write an entry, and `size` bytes of content if it is a file.

        LayerRefused for what tar cannot say, and for content of another size: then what was written
        is to be thrown away.
        """
        path = entry.path
        if entry.kind is Kind.DIRECTORY and not path.endswith(b"/"):
            path += b"/"
        size = entry.size if entry.kind is Kind.FILE else 0
        _check(entry, path)
        if records := _records(entry, path, size):
            announcement = Entry(b"PaxHeaders/entry", Kind.FILE, size=len(records))
            self._put(_header(announcement, announcement.path, b"x") + records)
            self._put(bytes(-len(records) % BLOCK))
        self._put(_header(entry, path, _FLAGS[entry.kind]))
        self._content(entry, size, content)

    def close(self) -> None:
        """Write the end."""
        self._put(bytes(2 * BLOCK))
        self._put(bytes(-self._count % _RECORD))

    def _put(self, piece: bytes) -> None:
        self._count += len(piece)
        self._write(piece)

    def _content(self, entry: Entry, size: int, content: Readable | None) -> None:
        left = size
        while left and content is not None and (piece := content.read(min(left, _PIECE))):
            left -= len(piece)
            self._put(piece)
        if left or (content is not None and content.read(1)):
            raise LayerRefused(f"{shown(entry.path)}: the content does not have {size} bytes")
        self._put(bytes(-size % BLOCK))


def _check(entry: Entry, path: bytes) -> None:
    """Refuse what no header can say, and what readers would take for something else."""
    links = entry.kind in {Kind.HARDLINK, Kind.SYMLINK}
    numbers = (entry.uid, entry.gid, entry.size)
    if not path or b"\0" in path or (entry.kind is Kind.FILE and path.endswith(b"/")):
        raise LayerRefused(f"{shown(path)}: not a name for a {entry.kind.value}")
    if links and (not entry.link or b"\0" in entry.link):
        raise LayerRefused(f"{shown(path)}: a {entry.kind.value} without a target, or with a NUL")
    if not all(0 <= one <= _MOST for one in numbers) or abs(entry.mtime_ns) > _MOST:
        raise LayerRefused(f"{shown(path)}: a number that is too large, or negative")
    if not all(0 <= one < _SHORT for one in (entry.major, entry.minor)):
        raise LayerRefused(f"{shown(path)}: no such device")
    if any(not name or b"=" in name or b"\0" in name for name in entry.xattrs):
        raise LayerRefused(f"{shown(path)}: an extended attribute that tar cannot name")


def _records(entry: Entry, path: bytes, size: int) -> bytes:
    """The PAX records that an entry needs, in the order of their names; often none."""
    found = {b"SCHILY.xattr." + name: value for name, value in entry.xattrs.items()}
    if len(path) > _NAME and _split(path) is None:
        found[b"path"] = path
    if entry.kind in {Kind.HARDLINK, Kind.SYMLINK} and len(entry.link) > _NAME:
        found[b"linkpath"] = entry.link
    for key, value, most in (
        (b"uid", entry.uid, _SHORT),
        (b"gid", entry.gid, _SHORT),
        (b"size", size, _LONG),
    ):
        if value >= most:
            found[key] = b"%d" % value
    if entry.mtime_ns % _NANO or not 0 <= entry.mtime_ns < _LONG * _NANO:
        found[b"mtime"] = _seconds(entry.mtime_ns)
    records = b"".join(_record(key, found[key]) for key in sorted(found))
    if len(records) > DEFAULT.header:
        raise LayerRefused(f"{shown(path)}: its attributes have more than {DEFAULT.header} bytes")
    return records


def _record(key: bytes, value: bytes) -> bytes:
    """`12 uid=123456` and a line end; the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) > len(str(rest)):
        length += 1
    return b"%d %s=%s\n" % (length, key, value)


def _seconds(mtime_ns: int) -> bytes:
    """With a fraction as long as it must be: `-1.5`."""
    whole, rest = divmod(abs(mtime_ns), _NANO)
    sign = b"-" if mtime_ns < 0 else b""
    fraction = b".%09d" % rest if rest else b""
    return b"%s%d%s" % (sign, whole, fraction.rstrip(b"0"))


def _split(path: bytes) -> tuple[bytes, bytes] | None:
    """A path in the two fields of ustar, which are read with a slash between them."""
    if len(path) <= _NAME:
        return b"", path
    slash = path.find(b"/", max(1, len(path) - _NAME - 1))
    if not 0 < slash <= _PREFIX or slash == len(path) - 1:
        return None
    return path[:slash], path[slash + 1 :]


def _octal(value: int, digits: int) -> bytes:
    """Digits and a NUL; 0 for what a PAX record says."""
    return b"%0*o\0" % (digits, value if 0 <= value < 1 << (3 * digits) else 0)


def _header(entry: Entry, path: bytes, flag: bytes) -> bytes:
    # Some readers take what ends in a slash here for a folder, whatever the PAX record says.
    prefix, name = _split(path) or (b"", path[:_NAME].rstrip(b"/"))
    block = _HEADER.pack(
        name,
        _octal(entry.mode & 0o7777, 7),
        _octal(entry.uid, 7),
        _octal(entry.gid, 7),
        _octal(entry.size if entry.kind is Kind.FILE else 0, 11),
        _octal(entry.mtime_ns // _NANO, 11),
        _BLANK_CHECKSUM,
        flag,
        entry.link[:_NAME],
        b"ustar\0",
        b"00",
        b"",
        b"",
        _octal(entry.major, 7),
        _octal(entry.minor, 7),
        prefix,
    )
    stated = b"%06o\0 " % sum(block)
    return block[:_CHECKSUM_AT] + stated + block[_CHECKSUM_AT + len(stated) :]
