"""Who takes how much room: namespaces, the largest repositories, what sharing of blobs saves.

What takes long to add up is remembered for fifty times as long as it took, a minute at most, for
each sight; while it is added up, other requests go on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, Literal, TypeVar

import msgspec

from kho.server.database import catalogue, holdings
from kho.server.database.catalogue import Wanted
from kho.server.index.catalogue import paging
from kho.server.policy.access import Principal
from kho.server.policy.patterns import sort_key
from kho.server.policy.sight import Sight, sight_of
from kho.server.resources import Resources

T = TypeVar("T")
Order = Literal["name", "repositories", "size", "pulls", "pushed"]

LARGEST: Final = 200
NAMESPACES: Final = 10_000
_REMEMBERED: Final = 64
_TIMES: Final = 50
_LONGEST: Final = 60.0


class Namespace(msgspec.Struct, frozen=True):
    """What stands before the first slash of names; "" are those without. `pushed_at` in ms."""

    name: str
    repositories: int
    size: int
    pulls: int
    pushed_at: int | None


class NamespacePage(msgspec.Struct, frozen=True):
    """Some namespaces; `next` is the cursor of those after them."""

    namespaces: tuple[Namespace, ...]
    total: int
    next: str | None


class Sized(msgspec.Struct, frozen=True):
    """A repository of a treemap."""

    name: str
    size: int


class Storage(msgspec.Struct, frozen=True):
    """Bytes. `size` is that of all repositories, `rest` of those that are not among the largest.

    `linked` counts each blob once for each repository that has it, `stored` once; `ratio` is the
    one over the other, None where nothing is stored.
    """

    repositories: int
    size: int
    namespaces: tuple[Namespace, ...]
    largest: tuple[Sized, ...]
    rest: int
    linked: int
    stored: int
    ratio: float | None


class _Remembered(Generic[T]):
    """Sums by sight."""

    def __init__(self) -> None:
        self._found: dict[Sight, tuple[float, T]] = {}
        self._locks: dict[Sight, asyncio.Lock] = {}

    async def get(self, sight: Sight, work: Callable[[], Awaitable[T]]) -> T:
        """What is remembered, or what `work` adds up; once, however many ask."""
        lock = self._locks.setdefault(sight, asyncio.Lock())
        async with lock:
            known = self._found.get(sight)
            began = time.monotonic()
            if known is not None and began < known[0]:
                return known[1]
            value = await work()
            ended = time.monotonic()
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
                self._locks = {sight: lock}
            self._found[sight] = (ended + min(_LONGEST, _TIMES * (ended - began)), value)
            return value


class _Sums(_Remembered[tuple[Namespace, ...]]):
    pass


class _Shared(_Remembered[tuple[int, int]]):
    pass


async def namespaces(
    resources: Resources,
    principal: Principal,
    *,
    order: Order = "name",
    cursor: str | None = None,
    limit: int = 50,
) -> NamespacePage:
    """With what the principal may see in them; the largest numbers first, names upwards."""
    found = sorted(await _namespaces(resources, sight_of(principal)), key=_KEYS[order])
    start = 0
    if cursor is not None:
        start = int(paging.decode(cursor, (str, int))[1])
    stop = start + paging.bounded(limit)
    next_ = paging.encode(order, stop) if stop < len(found) else None
    return NamespacePage(tuple(found[max(start, 0) : stop]), len(found), next_)


_KEYS: Final[dict[Order, Callable[[Namespace], tuple[int, str]]]] = {
    "name": lambda one: (0, one.name),
    "repositories": lambda one: (-one.repositories, one.name),
    "size": lambda one: (-one.size, one.name),
    "pulls": lambda one: (-one.pulls, one.name),
    "pushed": lambda one: (-(one.pushed_at or 0), one.name),
}


async def storage(resources: Resources, principal: Principal, *, namespace: str = "") -> Storage:
    """Of all that the principal may see; the largest repositories of the namespace, or of all."""
    sight = sight_of(principal)
    spaces = await _namespaces(resources, sight)
    linked, stored = await _shared(resources, sight)
    wanted = Wanted(order="size", descending=True)
    if namespace:
        low = sort_key(namespace.replace("\0", "\x01"))
        wanted = wanted._replace(low=f"{low}!", high=f'{low}"')
    keys = await resources.database.read(catalogue.keys, sight, wanted, LARGEST)
    largest = tuple(Sized(name.replace("!", "/"), int(size)) for size, name in keys if size)
    within = [one for one in spaces if not namespace or one.name == namespace]
    size = sum(one.size for one in within)
    return Storage(
        repositories=sum(one.repositories for one in within),
        size=size,
        namespaces=tuple(sorted(within, key=_KEYS["size"])[:LARGEST]),
        largest=largest,
        rest=max(0, size - sum(one.size for one in largest)),
        linked=linked,
        stored=stored,
        ratio=linked / stored if stored else None,
    )


async def _namespaces(resources: Resources, sight: Sight) -> tuple[Namespace, ...]:
    async def add_up() -> tuple[Namespace, ...]:
        sums: dict[str, list[int]] = {}
        after = ""
        while True:
            found = await resources.database.read(holdings.chunk, sight, after)
            for one in found:
                first, slash, _ = one.sort_key.partition("!")
                sum_ = sums.setdefault(first if slash else "", [0, 0, 0, 0])
                sum_[0] += 1
                sum_[1] += one.size
                sum_[2] += one.pulls
                sum_[3] = max(sum_[3], one.pushed_at)
            if len(found) < holdings.CHUNK or len(sums) > NAMESPACES:
                break
            after = found[-1].sort_key
            await asyncio.sleep(0)
        return tuple(
            Namespace(name, number, size, pulls, pushed_at or None)
            for name, (number, size, pulls, pushed_at) in sums.items()
        )

    return await resources.memory.drawer(_Sums).get(sight, add_up)


async def _shared(resources: Resources, sight: Sight) -> tuple[int, int]:
    """Bytes that repositories have, and bytes that are stored."""

    async def add_up() -> tuple[int, int]:
        linked = stored = 0
        after: str | None = ""
        while after is not None:
            some = await resources.database.read(holdings.stored, sight, after)
            linked += some.linked
            stored += some.stored
            after = some.last
            await asyncio.sleep(0)
        return linked, stored

    return await resources.memory.drawer(_Shared).get(sight, add_up)
