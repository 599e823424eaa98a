"""Can a caller tell two kinds of answers apart by their time?"""

import random
import time
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Sequence


def auc(one: Sequence[float], other: Sequence[float]) -> float:
    """How well a threshold tells the two samples apart: 0.5 not at all, 1.0 always."""
    ordered = sorted(other)
    below = sum(bisect_left(ordered, value) + bisect_right(ordered, value) for value in one)
    found = below / (2 * len(one) * len(other))
    return max(found, 1 - found)


async def told_apart(
    one: Callable[[], Awaitable[object]], other: Callable[[], Awaitable[object]], samples: int
) -> float:
    """The AUC of so many samples of each, in random order after some to warm up."""
    arms = [one, other] * samples
    random.shuffle(arms)
    seconds: dict[Callable[[], Awaitable[object]], list[float]] = {one: [], other: []}
    for arm in [one, other] * 20:
        await arm()
    for arm in arms:
        started = time.perf_counter()
        await arm()
        seconds[arm].append(time.perf_counter() - started)
    return auc(seconds[one], seconds[other])
