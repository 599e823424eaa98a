"""How many uploads one principal may have open, so that nobody fills the table of sessions.

Looking costs a scan of the table, so a worker looks rarely: after each look it lets a tenth of what
was left pass. Several workers may exceed the limit by that much together.
"""

from typing import Final

from kho.oci.errors import TooManyRequests
from kho.server.database import uploads as rows
from kho.server.policy.access import Caller
from kho.server.resources import Resources

RETRY_SECONDS: Final = 60
SHARE: Final = 10
KNOWN: Final = 10_000


class Remaining(dict[str, int]):
    """How many sessions each principal may open before this worker looks again."""


async def check(resources: Resources, caller: Caller) -> None:
    """Raise TooManyRequests when the caller has as many sessions open as are allowed."""
    limit = resources.config.limits.open_uploads
    if not limit:
        return
    remaining = resources.memory.keep(Remaining)
    left = remaining.pop(caller.name, 0)
    if left < 1:
        left = limit - await resources.database.read(rows.count, caller.name)
        if left < 1:
            raise TooManyRequests(
                "%(name)s has %(limit)s uploads open: finish or cancel some, or wait until"
                " they expire",
                name=caller.name,
                limit=limit,
                retry_after=RETRY_SECONDS,
            )
        left = -(-left // SHARE)
        if len(remaining) >= KNOWN:
            remaining.clear()
    remaining[caller.name] = left - 1
