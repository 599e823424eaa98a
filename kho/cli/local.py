"""What commands share that work with the local store alone, and what those end with that do many.

@local
async def command(store: "LocalStore", ...) -> None:
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from typing import Any

from kho.cli import exits, shown

Command = Callable[..., Coroutine[Any, Any, None]]


def local(function: Command) -> Callable[..., None]:
    """Make a coroutine function, whose first argument is the store, the body of a command."""

    @wraps(function)
    def command(**arguments: object) -> None:
        async def run() -> None:
            from kho.client.local.store import LocalStore, user_store  # noqa: PLC0415

            await function(LocalStore(user_store()), **arguments)

        try:
            asyncio.run(run())
        except KeyboardInterrupt:
            exits.fail("interrupted", exits.INTERRUPTED)
        except Exception as error:  # noqa: BLE001 - what is not ours is raised again
            exits.fail_by(error)

    return command


def end(errors: Sequence[BaseException]) -> None:
    """Tell of all that failed; the first says how the command ends."""
    if not errors:
        return
    for error in errors[1:]:
        shown.line(f"kho: {' '.join(str(error).split())}", err=True)
    raise errors[0]
