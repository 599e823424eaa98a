"""Archives: refused by one kind of error, the same in any pieces, and never in much memory."""

import io
import tarfile
from dataclasses import replace

from kho.layers import names
from kho.layers.errors import LayerRefused
from kho.layers.limits import Limits
from kho.layers.tar import Entry, Kind
from kho.layers.writer import TarWriter
from tests.layers.archives import Dripping, members, summed

BLOCK = 512
LIMITS = Limits(total=1 << 20, entries=1000, header=1 << 16)


def check(data: bytes) -> None:
    content = blocks(data)
    found = read(content, len(content) + 1)
    assert found == read(content, 100)
    if not isinstance(found, list):
        assert "\n" not in found
        return
    for entry, text in found:
        assert len(text) == entry.size
        assert entry.kind is Kind.FILE or not text
        assert b"\0" not in entry.path + entry.link
        assert entry.uid >= 0 <= entry.gid
        parts = names.components(entry.path, Limits(name=4096))
        assert not {b"", b".", b".."} & set(parts)
    beside(content, found)
    again(found)


def blocks(data: bytes) -> bytes:
    """Every other block gets its checksum, so that one need not be guessed."""
    if data[:1] != b"#":
        return data
    pieces = [data[at : at + BLOCK] for at in range(1, len(data), BLOCK)]
    return b"".join(
        summed(piece) if len(piece) == BLOCK and piece[148:149] == b"?" else piece
        for piece in pieces
    )


def read(content: bytes, most: int) -> list[tuple[Entry, bytes]] | str:
    try:
        return members(Dripping(content, most), LIMITS)
    except LayerRefused as refused:
        return str(refused)


def again(found: list[tuple[Entry, bytes]]) -> None:
    """What was read can be written, and reads the same."""
    file = io.BytesIO()
    writer = TarWriter(file.write)
    expected = []
    for entry, content in found:
        try:
            writer.add(entry, io.BytesIO(content))
        except LayerRefused:
            continue  # a device or a time that PAX has no record for
        slash = entry.kind is Kind.DIRECTORY and not entry.path.endswith(b"/")
        expected.append((replace(entry, path=entry.path + b"/" * slash), content))
    writer.close()
    assert members(file.getvalue()) == expected


def beside(content: bytes, found: list[tuple[Entry, bytes]]) -> None:
    """Python reads the same members, where it is strict enough to say so."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content), errors="surrogateescape") as tar:
            theirs = [one for one in tar if one.isreg()]
    except (tarfile.TarError, ValueError, OverflowError, UnicodeError):
        return
    ours = [entry for entry, _ in found if entry.kind is Kind.FILE]
    if len(ours) == len(theirs):
        assert [one.size for one in theirs] == [entry.size for entry in ours]
