"""Range, Content-Range and the paging Link (RFC 9110 section 14; distribution-spec)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from kho.oci.errors import PageNumberInvalid, RangeInvalid

# 19 digits hold every file offset and bound the work of int().
_RANGE: Final = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})", re.ASCII)
_CHUNK: Final = re.compile(
    r"(?:bytes )?([0-9]{1,19})-([0-9]{1,19})(?:/(?:\*|[0-9]{1,19}))?", re.ASCII
)
_ROWS: Final = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.ASCII)
_HELD: Final = re.compile(r"(?:bytes=)?0-([0-9]{1,19})", re.ASCII)
_LINK: Final = re.compile(r"[ \t,]*<([^<>]{1,8192})>((?:[ \t]*;[^,<]*)*)", re.ASCII)
_NEXT: Final = re.compile(
    r";[ \t]*rel[ \t]*=[ \t]*\"?next\"?[ \t]*(?:;|$)", re.ASCII | re.IGNORECASE
)
_COUNT: Final = re.compile(r"[0-9]{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`start` to `stop`, stop exclusive."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Bytes in the range."""
        return self.stop - self.start


def parse_range(header: str, size: int) -> ByteRange | None:
    """Read a request's Range against content of `size` bytes.

    None means: answer with the whole content (other units, several ranges, bad syntax). Raises
    RangeInvalid where the one range lies outside, or its ends are swapped.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.group(1, 2) == ("", ""):
        return None
    first, last = match.group(1, 2)
    if first == "":
        start, stop = max(0, size - int(last)), size
    else:
        start = int(first)
        stop = size if last == "" else min(size, int(last) + 1)
    if start >= stop:
        raise RangeInvalid(
            "the range lies outside the content of %(size)s bytes",
            size=size,
            headers=(("Content-Range", f"bytes */{size}"),),
        )
    return ByteRange(start, stop)


def parse_chunk(header: str) -> ByteRange:
    """Read a chunk's Content-Range `<first>-<last>`; raise RangeInvalid."""
    match = _CHUNK.fullmatch(header.strip())
    if match is None or int(match.group(2)) < int(match.group(1)):
        raise RangeInvalid("Content-Range of a chunk must be <first>-<last>", detail=header[:64])
    return ByteRange(int(match.group(1)), int(match.group(2)) + 1)


def upload_range(size: int) -> str:
    """What a session holds, `0-<last>`; an empty one says `0-0`, as the specification has it."""
    return f"0-{max(0, size - 1)}"


def parse_count(text: str | None, default: int, maximum: int) -> int:
    """Read `n` of a page, clamped to `maximum`; raise PageNumberInvalid."""
    if text is None:
        return default
    if _COUNT.fullmatch(text) is None:
        raise PageNumberInvalid("n must be a number from 0 to 999999", detail={"n": text[:64]})
    return min(int(text), maximum)


def next_link(path: str, query: Sequence[tuple[str, str | int]]) -> tuple[str, str]:
    """The Link header to the next page; clients cut at the first `;`, so all of it is encoded."""
    text = urlencode(query, quote_via=quote, safe="")
    return ("Link", f'<{quote(path)}?{text}>; rel="next"')


def parse_part(header: str | None) -> tuple[ByteRange, int | None] | None:
    """Read the Content-Range of a 206: the part, and the whole's size where it is told."""
    match = _ROWS.fullmatch((header or "").strip())
    if match is None or int(match[2]) < int(match[1]):
        return None
    return ByteRange(int(match[1]), int(match[2]) + 1), None if match[3] == "*" else int(match[3])


def parse_upload_range(header: str | None) -> int | None:
    """How many bytes an upload session says it holds; None where it does not say.

    `0-0` is how an empty one is told, and one of a single byte: it counts as empty.
    """
    match = _HELD.fullmatch((header or "").strip())
    if match is None:
        return None
    return int(match[1]) + 1 if int(match[1]) else 0


def parse_next(header: str | None) -> str | None:
    """The URL of the next page in a Link header, as it is written; None on the last page."""
    for match in _LINK.finditer(header or ""):
        if _NEXT.search(match[2]):
            return match[1]
    return None
