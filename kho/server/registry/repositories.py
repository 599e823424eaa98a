"""Repositories: list those that the caller may pull, and come into being with the first push."""

from collections.abc import Sequence
from typing import Final

from kho.oci.errors import Denied
from kho.server.database import repositories as rows
from kho.server.database.engine import Transaction
from kho.server.policy.access import Action, Caller, Principal, allowed, pullable
from kho.server.policy.patterns import covering, sort_key
from kho.server.resources import Resources

_NAMES: Final = 100


async def page(
    resources: Resources, principal: Principal, after: str | None, limit: int
) -> list[str]:
    """Names after `after` of what the principal may pull and that holds manifests, `/` lowest."""
    if principal.open:
        return await resources.database.read(rows.page, after, limit)
    return await resources.database.read(visible, principal, sort_key(after or ""), limit)


async def visible(tx: Transaction, principal: Principal, after: str, limit: int) -> list[str]:
    """The filter is SQL's: only what is shown is read.

    Grants are names and ranges of the order of names; those are walked until the page is full, and
    the public repositories are merged in.
    """
    ranges = [
        one
        for one in covering(tuple(pullable(principal)))
        if one.high is None or one.high > after + "\0"
    ]
    granted = await _named(tx, [one.low for one in ranges if one.single], limit)
    for one in ranges:
        if len(granted) >= limit and one.low > sort_key(granted[-1]):
            break
        if not one.single:
            found = await rows.page_between(tx, one, after, limit)
            granted = _merged(granted, found)[:limit]
    return _merged(granted, await rows.page_public(tx, after, limit))[:limit]


async def _named(tx: Transaction, keys: Sequence[str], limit: int) -> list[str]:
    """The first of these that are there: no more are asked for at once than fill the page."""
    found: list[str] = []
    size = max(limit, _NAMES)
    for start in range(0, len(keys), size):
        if len(found) >= limit:
            break
        found += await rows.page_named(tx, keys[start : start + size])
    return found[:limit]


def _merged(one: list[str], other: list[str]) -> list[str]:
    if not one or not other or sort_key(one[-1]) < sort_key(other[0]):
        return one + other
    return sorted({*one, *other}, key=sort_key)


async def check_creation(resources: Resources, repository: str, caller: Caller) -> None:
    """Raise Denied early, before bytes are taken; `enter` decides."""
    if allowed(caller.principal, Action.CREATE, repository):
        return
    if await resources.database.read(rows.find, repository) is None:
        raise _may_not_create()


async def enter(tx: Transaction, repository: str, caller: Caller) -> int:
    """The id of the repository, which the caller may bring into being or not."""
    found = await rows.find(tx, repository)
    if found is not None:
        return found
    if not allowed(caller.principal, Action.CREATE, repository):
        raise _may_not_create()
    return await rows.make(tx, repository)


def _may_not_create() -> Denied:
    return Denied("this repository does not exist, and creating it needs the action `create`")
