"""Cursors: where a page ended, as text that callers hand back unread."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Sequence
from typing import Final

from kho.oci.errors import InvalidRequest, NameUnknown
from kho.server.database import repositories
from kho.server.database.engine import Transaction

LONGEST: Final = 2048
MOST: Final = 200  # rows of a page
HIGHEST: Final = 2**63 - 1  # above every id
_BITS: Final = 63

Field = int | str


def encode(*fields: Field) -> str:
    """A cursor of these values."""
    text = json.dumps(fields, separators=(",", ":")).encode("ascii")
    return urlsafe_b64encode(text).rstrip(b"=").decode("ascii")


def decode(cursor: str, kinds: Sequence[type[int] | type[str]]) -> list[Field]:
    """The values, which are of these types; raise InvalidRequest for what `encode` never made."""
    if len(cursor) > LONGEST:
        raise _refused()
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        fields = json.loads(urlsafe_b64decode(padded))
    except (ValueError, Error, RecursionError) as error:
        raise _refused() from error
    if not isinstance(fields, list) or len(fields) != len(kinds):
        raise _refused()
    if not all(type(field) is kind for field, kind in zip(fields, kinds, strict=True)):
        raise _refused()
    if not all(map(_bounded, fields)):
        raise _refused()
    return fields


def _bounded(field: Field) -> bool:
    """Whether both databases can compare with it."""
    if isinstance(field, int):
        return field.bit_length() <= _BITS
    return field.isprintable() and field.isascii()


def _refused() -> InvalidRequest:
    return InvalidRequest("this cursor is none that a page of this list gave out")


def below(cursor: str | None) -> int:
    """The id that the page begins below."""
    if cursor is None:
        return HIGHEST
    (id_,) = decode(cursor, (int,))
    return int(id_)


def bounded(limit: int) -> int:
    """Rows of a page: 1 to MOST."""
    return max(1, min(limit, MOST))


async def repository_id(tx: Transaction, name: str) -> int:
    """The number of a repository; raise NameUnknown."""
    found = await repositories.find(tx, name)
    if found is None:
        raise NameUnknown("repository unknown to this registry", detail={"name": name})
    return found
