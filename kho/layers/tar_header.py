"""What a header of a tar says, together with what stood before it."""

from dataclasses import dataclass, field
from enum import Enum
from struct import Struct
from typing import Final
from zlib import adler32

from kho.layers.errors import LayerRefused, shown
from kho.layers.tar_fields import decimal, nanoseconds, number, text

BLOCK: Final = 512
SIZE: Final = slice(124, 136)
FLAG: Final = slice(156, 157)
_CHECKSUM: Final = slice(148, 156)
# name mode uid gid size mtime (checksum) type link magic version (user group) major minor prefix
_FIELDS: Final = Struct("100s8s8s8s12s12s8xc100s6s2s64x8s8s155s12x")
_USTAR: Final = b"ustar\0"
_GNU: Final = b"ustar "
_STAR_TRAILER: Final = b"tar\0"
_STAR_PREFIX: Final = 131
_XATTR: Final = b"SCHILY.xattr."
_XATTR_AT: Final = len(_XATTR)
_SIGN: Final = 0x80
_NANO: Final = 10**9


class Kind(Enum):
    """What an entry is."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symbolic link"
    HARDLINK = "hard link"
    CHARACTER = "character device"
    BLOCK = "block device"
    FIFO = "named pipe"


_KINDS: Final = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"S": Kind.FILE,  # sparse, of GNU
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER,
    b"4": Kind.BLOCK,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
}
_LINKS: Final = frozenset({Kind.HARDLINK, Kind.SYMLINK})
_DEVICES: Final = frozenset({Kind.CHARACTER, Kind.BLOCK})


@dataclass(frozen=True, slots=True)
class Entry:
    """One member. Paths as the archive has them, `mode` without the kind, `size` as one reads."""

    path: bytes
    kind: Kind
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    link: bytes = b""
    major: int = 0
    minor: int = 0
    xattrs: dict[bytes, bytes] = field(default_factory=dict)


class Announcement:
    """What stands before an entry and speaks of it."""

    __slots__ = ("link", "path", "records")

    def __init__(self) -> None:
        self.path: bytes | None = None
        self.link: bytes | None = None
        self.records: dict[bytes, bytes] = {}


def is_header(block: bytes) -> bool:
    """Whether the checksum is right; some old writers took bytes for signed."""
    stated = block[_CHECKSUM]
    # The low half of Adler-32 is the sum of the bytes, and 1, as long as that is below 65,521.
    found = (adler32(block[:256]) & 0xFFFF) + (adler32(block[256:]) & 0xFFFF) - 2
    found += 8 * ord(" ") - sum(stated)
    difference = found - number(stated)
    if not difference:
        return True
    return difference == 256 * sum(one >= _SIGN for one in block[:148] + block[156:])


# path, link, uid, gid, size, mtime_ns, xattrs
_Told = tuple[bytes, bytes, int, int, int, int, dict[bytes, bytes]]


def decoded(block: bytes, announced: Announcement | None) -> Entry:
    """An entry; the size is that of what is stored. LayerRefused says why, but not of whom."""
    name, mode, uid, gid, size, mtime, flag, link, magic, _, major, minor, prefix = _FIELDS.unpack(
        block
    )
    path = text(name)
    if prefix[0]:
        path = _prefixed(path, prefix, block)
    numbers = number(uid), number(gid), number(size), number(mtime) * _NANO
    told: _Told = (path, text(link), *numbers, {})
    if announced is not None:
        told = _overridden(told, announced)
    kind = _kind(flag, told[0])
    device = kind in _DEVICES and magic in {_USTAR, _GNU}
    return Entry(
        told[0],
        kind,
        number(mode) & 0o7777,
        _counting(told[2]),
        _counting(told[3]),
        _size(kind, told[4]),
        told[5],
        _target(kind, told[1]),
        _counting(number(major)) if device else 0,
        _counting(number(minor)) if device else 0,
        told[6],
    )


def _counting(value: int) -> int:
    if value < 0:
        raise LayerRefused("a negative number in the header")
    return value


def _size(kind: Kind, size: int) -> int:
    """How many bytes follow."""
    if kind is Kind.HARDLINK:
        # Some writers state the size of the file; GNU tar and Go know that no content follows.
        return 0
    if size and kind is not Kind.FILE:
        # GNU tar would pass over so many bytes, Go over none.
        raise LayerRefused(f"a {kind.value} with content")
    return _counting(size)


def _target(kind: Kind, link: bytes) -> bytes:
    if kind not in _LINKS:
        return b""
    if not link:
        raise LayerRefused(f"a {kind.value} to nothing")
    return link


def _kind(flag: bytes, path: bytes) -> Kind:
    if not path:
        raise LayerRefused("an entry without a name")
    kind = _KINDS.get(flag)
    if kind is None:
        raise LayerRefused(f"an entry of the unknown type {shown(flag)}")
    if kind is Kind.FILE and path.endswith(b"/"):
        if flag == b"\0":
            return Kind.DIRECTORY  # before there was a type for them
        # GNU tar makes a folder of it, Go a file.
        raise LayerRefused("a file with the name of a folder")
    return kind


def _prefixed(path: bytes, prefix: bytes, block: bytes) -> bytes:
    """The path with what stands in front of it in ustar; other formats have other fields there."""
    magic = block[257:263]
    if magic == _GNU:
        # Two times, or nothing, or else an old bug of Go that only Go takes for a prefix.
        number(prefix[:12])
        number(prefix[12:24])
        return path
    if magic != _USTAR:
        return path
    if block.endswith(_STAR_TRAILER) and b"\0" not in prefix[:_STAR_PREFIX]:
        # Go ends it there, where star has times; GNU tar takes them for a part of it.
        raise LayerRefused("a prefix as long as that of star")
    return text(prefix) + b"/" + path


def _overridden(told: _Told, announced: Announcement) -> _Told:
    """What stood before goes above what the header says."""
    pax = announced.records
    path, link, uid, gid, size, mtime_ns, xattrs = told
    path = _announced(path, announced.path, b"path", pax)
    link = _announced(link, announced.link, b"linkpath", pax)
    if not pax:
        return path, link, uid, gid, size, mtime_ns, xattrs
    uid, gid, size = (
        decimal(pax[key], key) if key in pax else value
        for key, value in ((b"uid", uid), (b"gid", gid), (b"size", size))
    )
    if b"mtime" in pax:
        mtime_ns = nanoseconds(pax[b"mtime"], b"mtime")
    # GNU tar, Go and all engines know these; of LIBARCHIVE.xattr they know nothing.
    xattrs = {key[_XATTR_AT:]: value for key, value in pax.items() if key.startswith(_XATTR)}
    return path, link, uid, gid, size, mtime_ns, xattrs


def _announced(field: bytes, long: bytes | None, key: bytes, pax: dict[bytes, bytes]) -> bytes:
    """A path of a header, unless one that is longer than its field stood before."""
    record = pax.get(key)
    if record is None:
        if long is None:
            return field
        record = long
    elif long is not None and record != long:
        raise LayerRefused(f"two announcements of its {key.decode()} that differ")
    if not record or b"\0" in record:
        raise LayerRefused(f"its announced {key.decode()} is empty or has a NUL")
    return record
