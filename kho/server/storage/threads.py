"""The threads in which files are flushed, hashed and read when not in the page cache."""

from collections.abc import Callable
from typing import Final, TypeVar, TypeVarTuple

from kho.server import threads
from kho.server.storage.files import as_registry_error

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

COUNT: Final = 16


class Threads(threads.Threads):
    """Sixteen; what the disk says becomes an answer."""

    def __init__(self) -> None:
        super().__init__("storage", COUNT)

    async def run(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Call, and turn the disk's errors into answers."""
        try:
            return await super().run(function, *args)
        except OSError as error:
            raise as_registry_error(error) from error
