"""A repository deleted as a whole: what would go, and its going.

One event tells of it, written before the first row goes. It goes in small transactions: when khod
is killed in the middle, part of it is there, and whoever asked asks again.
"""

from dataclasses import dataclass
from typing import Final

from kho.oci.errors import Denied, NameUnknown, Unavailable
from kho.server.database import dissolution as rows
from kho.server.database import repositories
from kho.server.database.dissolution import Impact
from kho.server.database.engine import Transaction
from kho.server.database.errors import ConstraintViolated
from kho.server.policy.access import Action, Caller, allowed
from kho.server.registry import trail
from kho.server.resources import Resources

__all__ = ["Dissolved", "Impact", "dissolve", "impact"]

MOST_STEPS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Dissolved:
    """What went, as it was counted before."""

    tags: int
    manifests: int
    size: int
    freed: int


async def impact(resources: Resources, repository: str) -> Impact:
    """What would go with a repository; raise NameUnknown."""
    return await resources.database.read(_impact, repository)


async def dissolve(resources: Resources, repository: str, caller: Caller) -> Dissolved:
    """Delete a repository with all that it holds. Raises Denied, NameUnknown, Unavailable.

    Bytes are free when garbage collection has run.
    """
    if not allowed(caller.principal, Action.DELETE, repository):
        raise Denied("deleting a repository needs the action `delete`")
    remove = resources.database.remove
    repository_id, told = await remove(_begin, repository, caller)
    for _ in range(MOST_STEPS):
        try:
            if await remove(rows.step, repository_id):
                return Dissolved(*told)
        except ConstraintViolated:
            continue  # something was pushed just now; the next step finds it
    raise Unavailable("the repository is pushed to all the time")


async def _impact(tx: Transaction, repository: str) -> Impact:
    return await rows.impact(tx, await _number(tx, repository))


async def _begin(tx: Transaction, repository: str, caller: Caller) -> tuple[int, Impact]:
    number = await _number(tx, repository)
    told = await rows.impact(tx, number)
    await trail.record(tx, caller, "repository.delete", repository, "", told._asdict())
    return number, told


async def _number(tx: Transaction, repository: str) -> int:
    found = await repositories.find(tx, repository)
    if found is None:
        raise NameUnknown("repository unknown to this registry", detail={"name": repository})
    return found
