"""Range of a request and Content-Range of a chunk."""

from kho.oci.errors import RangeInvalid
from kho.oci.ranges import ByteRange, parse_chunk, parse_range, upload_range
from tests.fuzz import texts


def check(data: bytes) -> None:
    head, rest = texts.split(data, 2)
    size = int.from_bytes(head[:7], "big")
    text = texts.header(rest)
    check_range(text, size)
    check_chunk(text)
    if size:
        assert parse_chunk(upload_range(size)) == ByteRange(0, size)


def check_range(text: str, size: int) -> None:
    try:
        found = parse_range(text, size)
    except RangeInvalid as error:
        assert dict(error.headers)["Content-Range"] == f"bytes */{size}"
        return
    if found is None:
        return
    assert 0 <= found.start < found.stop <= size
    first, _, last = text.strip().removeprefix("bytes=").partition("-")
    if first:
        assert found.start == int(first)
        assert found.stop == (min(size, int(last) + 1) if last else size)
    else:
        assert found.length == min(size, int(last))
    assert parse_range(f"bytes={found.start}-{found.stop - 1}", size) == found


def check_chunk(text: str) -> None:
    try:
        found = parse_chunk(text)
    except RangeInvalid:
        return
    assert 0 <= found.start < found.stop
    said = text.strip().removeprefix("bytes ").partition("/")[0]
    assert [int(part) for part in said.split("-")] == [found.start, found.stop - 1]
    assert parse_chunk(f"{found.start}-{found.stop - 1}") == found
