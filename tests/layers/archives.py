"""Archives in memory: read whole, and made of headers that no writer would write."""

import io

from kho.layers.compression import Readable
from kho.layers.limits import DEFAULT, Limits
from kho.layers.tar import Entry, TarReader

END = bytes(1024)


class Dripping:
    """Gives what was asked for, but seldom all of it."""

    def __init__(self, content: bytes, most: int = 700) -> None:
        self._file = io.BytesIO(content)
        self._most = most

    def read(self, count: int, /) -> bytes:
        return self._file.read(min(count, self._most))


def members(content: bytes | Readable, limits: Limits = DEFAULT) -> list[tuple[Entry, bytes]]:
    """Every entry with its content."""
    raw = io.BytesIO(content) if isinstance(content, bytes) else content
    reader = TarReader(raw, limits)
    found = []
    for entry in reader:
        pieces = []
        while piece := reader.read(1000):
            pieces.append(piece)
        found.append((entry, b"".join(pieces)))
        assert len(found[-1][1]) == entry.size
    return found


def entries(content: bytes, limits: Limits = DEFAULT) -> list[Entry]:
    """Every entry, the contents passed over."""
    return list(TarReader(io.BytesIO(content), limits))


def header(name: bytes = b"a", size: int | bytes = 0, flag: bytes = b"0", **fields: bytes) -> bytes:
    """One block with a good checksum; fields are named `at_<first byte>`."""
    block = bytearray(512)
    values = {
        0: name,
        100: b"0000644\0",
        108: b"0000000\0",
        116: b"0000000\0",
        124: size if isinstance(size, bytes) else b"%011o\0" % size,
        136: b"00000000000\0",
        156: flag,
        257: b"ustar\x0000",
    }
    values |= {int(key.removeprefix("at_")): value for key, value in fields.items()}
    for at, value in values.items():
        block[at : at + len(value)] = value
    return summed(bytes(block))


def summed(block: bytes) -> bytes:
    """The block with its checksum."""
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]


def padded(content: bytes) -> bytes:
    """Content as an archive has it."""
    return content + bytes(-len(content) % 512)


def pax(flag: bytes = b"x", /, **records: bytes) -> bytes:
    """A PAX header; `__` in a key is a dot."""
    content = b"".join(record(key.replace("__", "."), value) for key, value in records.items())
    return header(b"PaxHeaders/a", len(content), flag) + padded(content)


def record(key: str, value: bytes) -> bytes:
    """One PAX record."""
    rest = len(key) + len(value) + 3
    length = next(n for n in range(rest, rest + 9) if n == rest + len(str(n)))
    return b"%d %s=%s\n" % (length, key.encode(), value)


def long(flag: bytes, content: bytes) -> bytes:
    """A GNU long name or link."""
    return header(b"././@LongLink", len(content) + 1, flag) + padded(content + b"\0")
