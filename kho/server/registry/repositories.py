"""Repositories: list those that the caller may pull, and come into being with the first push."""

import heapq

from kho.oci.errors import Denied
from kho.server.database import repositories as rows
from kho.server.database.engine import Transaction
from kho.server.policy.access import Action, Caller, Principal, allowed, pullable
from kho.server.policy.patterns import covering, sort_key
from kho.server.resources import Resources


async def page(
    resources: Resources, principal: Principal, after: str | None, limit: int
) -> list[str]:
    """Names after `after` of what the principal may pull and that holds manifests, `/` lowest."""
    if principal.open:
        return await resources.database.read(rows.page, after, limit)
    return await resources.database.read(_visible, principal, sort_key(after or ""), limit)


async def _visible(tx: Transaction, principal: Principal, after: str, limit: int) -> list[str]:
    """The filter is SQL's: only what is shown is read.

    Grants are ranges of the order of names; those are walked until the page is full, and the
    public repositories are merged in.
    """
    granted: list[str] = []
    for low, high, expression in covering(pullable(principal)):
        if len(granted) >= limit and low > sort_key(granted[-1]):
            break
        if high is None or high > after:
            found = await rows.page_between(tx, low, high, expression, after, limit)
            granted = _merged(granted, found)
    public = await rows.page_public(tx, after, limit)
    return _merged(granted, public)[:limit]


def _merged(one: list[str], other: list[str]) -> list[str]:
    merged = heapq.merge(one, other, key=sort_key)
    return list(dict.fromkeys(merged))


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
    return await rows.ensure(tx, repository)


def _may_not_create() -> Denied:
    return Denied("this repository does not exist, and creating it needs the action `create`")
