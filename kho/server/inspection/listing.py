"""All names of a layer, directory by directory, as they are kept."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from struct import Struct
from typing import Final

import msgspec

from kho.layers.compression import Readable, decompressed
from kho.layers.errors import LayerRefused, shown
from kho.layers.limits import DEFAULT, Limits
from kho.layers.names import OPAQUE, components, is_metadata, whiteout
from kho.layers.tar import Entry as Member
from kho.layers.tar import Kind as TarKind
from kho.layers.tar import TarReader
from kho.server.inspection import frames
from kho.server.inspection.frames import Row, Say, Sum
from kho.server.inspection.order import Order
from kho.server.inspection.packed import MOST, Entry, Kind, pack

_PIECE: Final = 256 * 1024
# Of names and targets, so that a part is no more than a frame can hold.
_PART: Final = 256 * 1024
_LINKS: Final = 40
_NANO: Final = 10**9
# mode, uid, gid, size, seconds, number, hash, kind; then the target. A tenth of an Entry's memory.
_RECORD: Final = Struct("<HQQQqi32sc")
_NO_HASH: Final = bytes(32)
# A whiteout stands beside what has its name in the same layer, and no name has a slash.
_GONE: Final = b"/"
_KINDS: Final = {
    TarKind.FILE: Kind.FILE,
    TarKind.DIRECTORY: Kind.DIRECTORY,
    TarKind.SYMLINK: Kind.SYMLINK,
    TarKind.HARDLINK: Kind.HARDLINK,
    TarKind.CHARACTER: Kind.CHARACTER,
    TarKind.BLOCK: Kind.BLOCK,
    TarKind.FIFO: Kind.FIFO,
}
_DEVICES: Final = frozenset({Kind.CHARACTER, Kind.BLOCK})
_IMPLIED: Final = Entry(b"", Kind.IMPLIED, 0o755)


class _Hashed:
    """The bytes as they are stored, hashed as they pass."""

    def __init__(self, raw: Readable, algorithm: str) -> None:
        self._raw = raw
        self._hash = hashlib.new(algorithm)
        self._algorithm = algorithm

    def read(self, count: int, /) -> bytes:
        piece = self._raw.read(count)
        self._hash.update(piece)
        return piece

    def digest(self) -> str:
        """Of everything: what nobody has read is read."""
        while self.read(_PIECE):
            pass
        return f"{self._algorithm}:{self._hash.hexdigest()}"


def list_layer(raw: Readable, write: Callable[[bytes], object], order: Order) -> None:
    """Write the rows of the layer, then their sum; or what is wrong with it, and the hash.

    A layer that breaks a rule is still read to its end: perhaps the disk broke it.
    """
    stored = _Hashed(raw, order.algorithm)
    tree = _Tree()
    try:
        _read(stored, tree, replace(DEFAULT, entries=order.bounds.entries))
    except LayerRefused as error:
        digest = stored.digest()
        reason = str(error).encode("utf-8", "backslashreplace")
        frames.put(write, Say.REFUSED, digest.encode() + b" " + reason)
        return
    for row in tree.rows():
        frames.put(write, Say.ROW, msgspec.msgpack.encode(row))
    done = Sum(tree.count, tree.size, stored.digest())
    frames.put(write, Say.DONE, msgspec.msgpack.encode(done))


class _Plain:
    """The tar, whose reader is told apart from what unpacks it by the errors."""

    def __init__(self, stored: Readable, limits: Limits) -> None:
        self._plain = decompressed(stored, limits)

    def read(self, count: int, /) -> bytes:
        try:
            return self._plain.read(count)
        except LayerRefused as error:
            raise _Unpacking(str(error)) from None


class _Unpacking(LayerRefused):
    """There is no tar yet."""


def _read(stored: Readable, tree: "_Tree", limits: Limits) -> None:
    reader = TarReader(_Plain(stored, limits), limits)
    number = -1
    try:
        for number, member in enumerate(reader):
            _add(tree, member, number, reader)
    except _Unpacking:
        raise
    except LayerRefused as error:
        if number < 0:
            raise LayerRefused(f"not a tar layer: {error}") from None
        raise
    reader.drain()


def _add(tree: "_Tree", member: Member, number: int, reader: TarReader) -> None:
    path = components(member.path)
    if is_metadata(path):
        return
    gone = whiteout(path[-1]) if path else None
    if gone is OPAQUE:
        tree.put(path[:-1], Entry(b"", Kind.OPAQUE, number=number))
    elif isinstance(gone, bytes):
        tree.put(path[:-1], Entry(gone, Kind.WHITEOUT, number=number))
    elif path:
        tree.put(path[:-1], _entry(path[-1], member, number, reader))
    elif member.kind is not TarKind.DIRECTORY:
        raise LayerRefused(f"the root cannot be a {member.kind.value}")


def _entry(name: bytes, member: Member, number: int, reader: TarReader) -> Entry:
    kind = _KINDS[member.kind]
    link = member.link
    if kind in _DEVICES:
        link = b"%d:%d" % (member.major, member.minor)
    seconds = member.mtime_ns // _NANO
    hashed = b""
    # A sparse file of 100 GiB is a few bytes, and nobody shall hash zeros for a minute.
    if kind is Kind.FILE and member.size and not reader.has_holes:
        sha256 = hashlib.sha256()
        while piece := reader.read(_PIECE):
            sha256.update(piece)
        hashed = sha256.digest()
    owner = member.mode, member.uid, member.gid
    return Entry(name, kind, *owner, member.size, seconds, link, number, hashed)


class _Tree:
    """Directories by path, and in each of them records by name."""

    def __init__(self) -> None:
        self._folders: dict[bytes, dict[bytes, bytes]] = {b"": {}}
        # Where a path of the layer is, when links of the layer lead to it.
        self._places: dict[tuple[bytes, ...], bytes] = {(): b""}
        self.count = 0
        self.size = 0

    def put(self, folder: tuple[bytes, ...], entry: Entry) -> None:
        """The last of a name counts."""
        place = self._place(folder)
        records = self._folders[place]
        key = entry.name + _GONE if entry.kind is Kind.WHITEOUT else entry.name
        path = _joined(place, entry.name)
        if path in self._folders and entry.kind not in {Kind.OPAQUE, Kind.WHITEOUT}:
            if entry.kind is not Kind.DIRECTORY:
                self._forget(path)
        elif entry.kind is Kind.DIRECTORY:
            self._folders[path] = {}
        records[key] = _record(entry)

    def _forget(self, path: bytes) -> None:
        """A directory was replaced by something else."""
        for known in [one for one in self._folders if (one + b"/").startswith(path + b"/")]:
            del self._folders[known]
        self._places = {(): b""}

    def _place(self, folder: tuple[bytes, ...]) -> bytes:
        """The path of a directory, which comes into being where it is not there.

        What is put below a symbolic link of the layer stands where that leads to.
        """
        known = self._places.get(folder)
        if known is not None:
            return known
        at, todo, links = b"", list(reversed(folder)), 0
        while todo:
            name = todo.pop()
            path = _joined(at, name)
            there = self._folders[at].get(name)
            if path in self._folders:
                at = path
            elif there is None:
                self._folders[at][name] = _record(_IMPLIED)
                self._folders[path] = {}
                at = path
            elif _kind(there) == Kind.SYMLINK.value:
                links += 1
                if links > _LINKS:
                    raise LayerRefused(f"{shown(path)}: too many symbolic links")
                target = there[_RECORD.size :]
                whole = target if target.startswith(b"/") else at + b"/" + target
                at, todo = b"", todo + list(reversed(components(whole)))
            else:
                raise LayerRefused(f"{shown(path)} is no directory, yet has entries")
        self._places[folder] = at
        return at

    def rows(self) -> Iterator[Row]:
        """Everything, parents first; it is gone afterwards."""
        sizes = self._sizes()
        for directory in sorted(self._folders):
            records = self._folders.pop(directory)
            first = b""
            for part in _parts(_entries(directory, records, sizes)):
                yield Row(directory, first and part[0].name, pack(part))
                first = b"more"
            self.count += sum(not one.endswith(_GONE) for one in records if one)

    def _sizes(self) -> dict[bytes, int]:
        """Bytes of the files below each directory; their sum is that of the root."""
        sizes = dict.fromkeys(self._folders, 0)
        for directory, records in self._folders.items():
            sizes[directory] = sum(
                _RECORD.unpack_from(one)[3]
                for one in records.values()
                if _kind(one) == Kind.FILE.value
            )
        for directory in sorted(sizes, key=lambda one: one.count(b"/"), reverse=True):
            if directory:
                sizes[directory.rpartition(b"/")[0]] += sizes[directory]
        self.size = sizes[b""]
        return sizes


def _joined(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


def _kind(record: bytes) -> str:
    return chr(record[_RECORD.size - 1])


def _record(entry: Entry) -> bytes:
    _, kind, mode, uid, gid, size, mtime, link, number, hashed = entry
    code = kind.value.encode()
    record = _RECORD.pack(mode, uid, gid, size, mtime, number, hashed or _NO_HASH, code)
    return record + link


def _entries(
    directory: bytes, records: dict[bytes, bytes], sizes: dict[bytes, int]
) -> Iterator[Entry]:
    """By name, and of one name a whiteout last; no two names are the same but these."""
    for key in sorted(records, key=lambda one: (one.removesuffix(_GONE), one)):
        record = records[key]
        mode, uid, gid, size, mtime, number, hashed, code = _RECORD.unpack_from(record)
        kind = Kind(code.decode())
        name = key.removesuffix(_GONE)
        if kind.is_directory:
            size = sizes.get(_joined(directory, name), 0)
        digest = hashed if hashed != _NO_HASH else b""
        link = record[_RECORD.size :]
        yield Entry(name, kind, mode, uid, gid, size, mtime, link, number, digest)


def _parts(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    """As many as one part holds; what has the same name stays together."""
    part: list[Entry] = []
    length = 0
    for entry in entries:
        new = bool(part) and part[-1].name != entry.name
        if new and (len(part) >= MOST - 1 or length > _PART):
            yield part
            part, length = [], 0
        part.append(entry)
        length += len(entry.name) + len(entry.link)
    if part:
        yield part
