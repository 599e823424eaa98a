"""What is large is read in a thread of the worker.

Python's threads take turns every few milliseconds, so that meanwhile others are answered.
"""

from collections.abc import Callable
from typing import Final, TypeVar, TypeVarTuple

from kho.server.resources import Resources
from kho.server.threads import Threads

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Of bytes; to read so many costs some milliseconds at most.
SMALL: Final = 32 * 1024


class Aside(Threads):
    """One for each worker: who pushes or looks at many large things waits, and nobody else."""

    def __init__(self) -> None:
        super().__init__("aside", 1)


def begin(resources: Resources) -> None:
    """Start the thread, before there is a request."""
    resources.memory.keep(Aside)


async def aside(resources: Resources, weight: int, function: Callable[[*Ts], T], *args: *Ts) -> T:
    """Call; in the thread, where it works on more than SMALL bytes."""
    if weight <= SMALL:
        return function(*args)
    return await resources.memory.keep(Aside).run(function, *args)
