"""What the bodies that are held in memory may come to together, in one worker.

Manifests may be 4 MiB each, and whoever pushes hundreds at once shall not fill the memory: those
beyond the budget wait a moment, in their order, unread. Small ones are not counted.
"""

import asyncio
from collections import deque
from typing import Final

from kho.oci.errors import Unavailable

BUDGET: Final = 32 * 1024 * 1024
SMALL: Final = 64 * 1024
WAIT_SECONDS: Final = 10.0

_held = 0
_waiting: deque[tuple[int, asyncio.Future[None]]] = deque()


async def hold(size: int) -> int:
    """Wait for room; how much to give back with `release`. Raises Unavailable after a while."""
    global _held  # noqa: PLW0603  one worker, one memory
    if size <= SMALL:
        return 0
    size = min(size, BUDGET)
    if _waiting or _held + size > BUDGET:
        turn = (size, asyncio.get_running_loop().create_future())
        _waiting.append(turn)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn[1]
        except BaseException as error:
            if turn in _waiting:
                _waiting.remove(turn)
                _admit()
            else:  # it was given room just now
                release(size)
            if isinstance(error, TimeoutError):
                raise Unavailable("too many large bodies at once") from None
            raise
    else:
        _held += size
    return size


def release(size: int) -> None:
    """Give back; whoever is next gets it."""
    global _held  # noqa: PLW0603
    _held -= size
    _admit()


def _admit() -> None:
    global _held  # noqa: PLW0603
    while _waiting and _held + _waiting[0][0] <= BUDGET:
        size, turn = _waiting.popleft()
        _held += size
        if not turn.done():  # else it has given up, and gives back
            turn.set_result(None)
