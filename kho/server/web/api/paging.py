"""Lists of the API: a page, and the cursor that the next one begins after."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Final, Generic, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
from msgspec import Meta, Struct

from kho.server.web.api.problems import Mistakes
from kho.server.web.request import Request

MOST: Final = 200
USUAL: Final = 100
MOST_CHARACTERS: Final = 2048  # as catalogue/paging.py

T = TypeVar("T")
R = TypeVar("R")

Limit = Annotated[int, Meta(ge=1, le=MOST, description=f"how many at most, 1 to {MOST}")]
After = Annotated[
    str,
    Meta(max_length=MOST_CHARACTERS, description="the `next` of the page before; none: the first"),
]


class Paged(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which page of a list."""

    limit: Limit = USUAL
    after: After = ""


class Listing(Struct, Generic[T], frozen=True):
    """A page of a list. `next` is the `after` of the page that follows; null: this is the last."""

    items: list[T]
    next: str | None


def listing(
    rows: Sequence[R], limit: int, told: Callable[[R], T], key: Callable[[R], object]
) -> Listing[T]:
    """A page of rows, of which one more was read than `limit`, so that it tells what follows."""
    kept = rows[:limit]
    following = cursor(key(kept[-1])) if len(rows) > limit else None
    return Listing([told(row) for row in kept], following)


def cut(
    rows: Sequence[R], query: Paged, told: Callable[[R], T], key: Callable[[R], str]
) -> Listing[T]:
    """A page of what is short enough to be read whole, in the order of the key."""
    after = key_of(query.after, str)
    rest = [row for row in rows if after is None or key(row) > after]
    return listing(rest[: query.limit + 1], query.limit, told, key)


def cursor(value: object) -> str:
    """The text that stands for the last entry's key; clients need not understand it."""
    return urlsafe_b64encode(msgspec.json.encode(value)).decode("ascii").rstrip("=")


def key_of(after: str, kind: type[T]) -> T | None:
    """The key that a cursor stands for; None at the beginning. Raises Mistakes."""
    if not after:
        return None
    try:
        raw = urlsafe_b64decode(after + "=" * (-len(after) % 4))
        if b"\\u0000" in raw:
            raise ValueError(after)
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, RecursionError):
        wrong = "after: is no cursor; allowed is the `next` of the page before"
        raise Mistakes("the query is not right", [wrong]) from None


def link_next(request: Request, after: str) -> tuple[str, str]:
    """The header that leads to the page which follows (RFC 8288)."""
    query = request.scope["query_string"].decode("latin-1")
    pairs = [(key, value) for key, value in parse_qsl(query) if key != "after"]
    target = f"{quote(request.path)}?{urlencode([*pairs, ('after', after)])}"
    return "Link", f'<{target}>; rel="next"'
