"""Lists that are read page by page, for whoever wants all of it."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

SIZE: Final = 500


async def every(page: Callable[[T | None, int], Awaitable[list[T]]]) -> list[T]:
    """All entries; `page` reads at most so many after the last one, which is None at first."""
    found: list[T] = []
    while True:
        more = await page(found[-1] if found else None, SIZE)
        found += more
        if len(more) < SIZE:
            return found
