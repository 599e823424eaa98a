"""Lists that are searched and paged by name."""

from collections.abc import Awaitable, Callable
from typing import Final, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import urlencode

from kho.server.web.request import Request

ROWS: Final = 50
QUERY: Final = 128
_BATCH: Final = 500


class Named(Protocol):
    """A row with a name."""

    @property
    def name(self) -> str:
        """What it is sorted by."""


T = TypeVar("T", bound=Named)


class Found(NamedTuple, Generic[T]):
    """A page of a list; `following` and `first` are addresses, or ""."""

    rows: list[T]
    query: str
    following: str
    first: str


async def named(
    request: Request, page: Callable[[str | None, int], Awaitable[list[T]]]
) -> Found[T]:
    """Those whose name has what `?q=` says in it, after the name that `?after=` says."""
    query = (request.query("q") or "").strip().lower()[:QUERY]
    after = (request.query("after") or "")[:QUERY] or None
    first = after
    size = _BATCH if query else ROWS + 1
    found: list[T] = []
    while len(found) <= ROWS:
        rows = await page(after, size)
        found += [row for row in rows if query in row.name]
        if len(rows) < size:
            break
        after = rows[-1].name
    shown = found[:ROWS]
    following = _address(query, shown[-1].name) if len(found) > ROWS else ""
    return Found(shown, query, following, _address(query, "") if first else "")


def _address(query: str, after: str) -> str:
    pairs = {key: value for key, value in (("q", query), ("after", after)) if value}
    return f"?{urlencode(pairs)}"
