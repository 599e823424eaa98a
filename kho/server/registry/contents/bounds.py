"""How much is told of what a pusher has written: manifests have up to 4 MiB, configs 1 MiB.

    a value   1,000 characters     a name   256     a list   100 entries     a text   64 KiB

What is left out is counted beside it; all of it stands in the manifest and its blobs. What is
large is read in a thread: Python's threads take turns every few milliseconds, so that meanwhile
others are answered.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final, TypeVar, TypeVarTuple

from kho.server.resources import Resources
from kho.server.threads import Threads

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

ENTRIES: Final = 100
NAME: Final = 256
VALUE: Final = 1000
TEXT: Final = 64 * 1024
# What is looked through for secrets behind the end of what is shown: one may begin before it.
MARGIN: Final = 20_000
# Of bytes; to read so many costs some milliseconds at most.
SMALL: Final = 32 * 1024


class Aside(Threads):
    """One for each worker: who looks at many large things waits, and nobody else."""

    def __init__(self) -> None:
        super().__init__("looks", 1)


def begin(resources: Resources) -> None:
    """Start the thread, before there is a request."""
    resources.memory.keep(Aside)


async def aside(resources: Resources, weight: int, function: Callable[[*Ts], T], *args: *Ts) -> T:
    """Call; in the thread, where it works on more than SMALL bytes."""
    if weight <= SMALL:
        return function(*args)
    return await resources.memory.keep(Aside).run(function, *args)


def cut(text: str, most: int) -> tuple[str, int]:
    """Its beginning, and how many characters are left out."""
    return text[:most], max(0, len(text) - most)


def some(pairs: Mapping[str, object], most: int = ENTRIES) -> dict[str, str]:
    """The first texts among them, and of these no more than anybody looks at."""
    texts = ((name, value) for name, value in pairs.items() if isinstance(value, str))
    return {name: value[: VALUE + MARGIN] for name, value in islice(texts, most)}
