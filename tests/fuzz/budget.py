"""Time that grows with the input and no faster, measured on the thread's own clock."""

import time
from collections.abc import Callable

# Some hundred times what a linear parser takes, so that only another order of growth is caught:
# a quadratic one needs some thousand bytes to be seen, an exponential one a few dozen.
BASE_SECONDS = 0.1
SECONDS_A_BYTE = 20e-6
TRIES = 3


class TooSlow(AssertionError):
    """The input takes longer than its size allows, each time."""


def timed(check: Callable[[bytes], None], data: bytes, factor: float = 1.0) -> None:
    """Run a check; `factor` is for code that is watched while it runs."""
    allowed = (BASE_SECONDS + SECONDS_A_BYTE * len(data)) * factor
    for _ in range(TRIES):
        started = time.thread_time()
        check(data)
        spent = time.thread_time() - started
        if spent <= allowed:
            return
    raise TooSlow(f"{spent:.2f} s for {len(data)} bytes, allowed are {allowed:.2f}")
