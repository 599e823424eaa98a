"""A limit for all bytes of a run together: whoever has some waits until they are due."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from kho.client.errors import Misused

# So much may be saved up while nothing flows.
BURST_SECONDS: Final = 0.25
# A slow line gets small pieces often rather than a large one after a long silence.
_LEAST_PIECE: Final = 4096
_SIZE: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,3}))?([kmg]?)i?b?(?:/s)?", re.ASCII)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3}


class Rate:
    """Bytes a second; transfers that wait are served in the order in which they came."""

    def __init__(
        self,
        each_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.each_second = each_second
        self._clock = clock
        self._sleep = sleep
        # The moment at which all that was taken has been paid for.
        self._paid = clock()

    async def take(self, count: int) -> None:
        """Wait until so many bytes are due."""
        now = self._clock()
        self._paid = max(self._paid, now - BURST_SECONDS) + count / self.each_second
        if self._paid > now:
            await self._sleep(self._paid - now)

    def parts(self, piece: bytes) -> Iterator[bytes]:
        """The piece, in parts of a quarter of a second each."""
        size = max(_LEAST_PIECE, int(self.each_second * BURST_SECONDS))
        if len(piece) <= size:
            yield piece
            return
        for start in range(0, len(piece), size):
            yield piece[start : start + size]


def parse_rate(text: str) -> float:
    """Bytes a second of `500k`, `10M`, `1.5MiB/s`; k, M and G are powers of 1024; raise Misused."""
    match = _SIZE.fullmatch(text.strip().lower())
    found = 0.0
    if match is not None:
        found = float(f"{match[1]}.{match[2] or 0}") * 1024 ** _POWERS[match[3]]
    if found < 1:
        raise Misused(f"{text!a:.100} is no rate: expected bytes a second, as 500k, 10M or 1G")
    return found
