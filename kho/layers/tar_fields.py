"""The fields of a tar header: numbers, texts, and the records of PAX."""

from functools import lru_cache
from typing import Final

from kho.layers.errors import LayerRefused, shown

_MOST: Final = (1 << 63) - 1
_NANO_DIGITS: Final = 9
_SPARSE_OFFSET: Final = b"GNU.sparse.offset"
_SPARSE_LENGTH: Final = b"GNU.sparse.numbytes"
SPARSE_MAP: Final = b"GNU.sparse.map"


def text(field: bytes) -> bytes:
    """What stands before the first NUL."""
    return field.partition(b"\0")[0]


@lru_cache(maxsize=4096)
def number(field: bytes) -> int:
    """Octal digits in blanks, or base 256 of GNU, which may be negative."""
    first = field[0]
    if first & 0x80:
        # Two's complement, but the highest bit says that it is so, and the next one is the sign.
        bits = 8 * len(field) - 1
        value = int.from_bytes(field, "big") & ((1 << bits) - 1)
        if first & 0x40:
            value -= 1 << bits
        if not -_MOST <= value <= _MOST:
            raise LayerRefused("a number in a header is too large")
        return value
    digits = field.partition(b"\0")[0].strip(b" ")
    if not digits:
        if field.strip(b" \0"):
            raise LayerRefused("a number in a header is not one")
        return 0
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise LayerRefused("a number in a header is not octal")
    return int(digits, 8)


def decimal(value: bytes, key: bytes) -> int:
    """A number of a PAX record: digits and nothing else, below 2**63."""
    if not value.isdigit() or len(value) > len(str(_MOST)) or int(value) > _MOST:
        raise LayerRefused(f"the PAX record {shown(key)} is {shown(value) or 'empty'}")
    return int(value)


def nanoseconds(value: bytes, key: bytes) -> int:
    """Seconds with a fraction, perhaps negative, of a PAX record; more digits are cut off."""
    whole, point, fraction = value.partition(b".")
    negative = whole.startswith(b"-")
    seconds = decimal(whole.removeprefix(b"-"), key)
    if point and fraction:
        if not fraction.isdigit():
            raise LayerRefused(f"the PAX record {shown(key)} is {shown(value)}")
        nanos = int(fraction[:_NANO_DIGITS].ljust(_NANO_DIGITS, b"0"))
    else:
        nanos = 0
    total = seconds * 10**_NANO_DIGITS + nanos
    return -total if negative else total


def records(content: bytes) -> dict[bytes, bytes]:
    r"""`24 SCHILY.xattr.user.a=b\n`, one after another; the last of a name holds.

    The offsets and lengths of GNU's first sparse format are many records of two names: they become
    the one that its second format has.
    """
    found: dict[bytes, bytes] = {}
    numbers: list[bytes] = []
    at = 0
    while at < len(content):
        blank = content.find(b" ", at, at + 20)
        digits = content[at:blank]
        if blank < 0 or not digits.isdigit():
            raise LayerRefused("a PAX record without its length")
        end = at + int(digits)
        # A record is no shorter than its length, a blank, and a line end.
        if end > len(content) or end < blank + 2 or content[end - 1] != ord("\n"):
            raise LayerRefused("a PAX record of another length than it says")
        key, sign, value = content[blank + 1 : end - 1].partition(b"=")
        if not sign or not key or b"\0" in key:
            raise LayerRefused("a PAX record without a name")
        if key in {_SPARSE_OFFSET, _SPARSE_LENGTH}:
            if (key == _SPARSE_LENGTH) != bool(len(numbers) % 2) or not value.isdigit():
                raise LayerRefused("the map of a sparse file is out of order")
            numbers.append(value)
        else:
            found[key] = value
        at = end
    if numbers:
        found[SPARSE_MAP] = b",".join(numbers)
    return found
