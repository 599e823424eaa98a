"""Failed logins are counted where all workers see it, and asked for before a password is hashed.

    refuse_known ── this worker said no a moment ago ──> TooManyRequests
    admit ── one read ──> TooManyRequests, or how familiar the account is with the address
    failed, succeeded ── one write

See policy/throttle.py for what is counted, and how much of it is too much.
"""

import math
import time
from collections import OrderedDict
from typing import Final, NoReturn

from kho.oci.errors import TooManyRequests
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts, throttles
from kho.server.policy.throttle import FAMILIAR_MS, Limits, counted_of, limits_of, wait_ms
from kho.server.resources import Resources

REFUSALS: Final = 10_000
# A login from a familiar address is written down this often.
SEEN_MS: Final = 3_600_000
PURGE_BATCH: Final = 5000


class _Refusals:
    """Until when (monotonic) an account is refused at an address; the newest ones."""

    def __init__(self) -> None:
        self.until: OrderedDict[tuple[str, str], float] = OrderedDict()


class Admission:
    """A login that may be tried; `familiar`: the account signed in from there before."""

    __slots__ = ("account", "place", "seen_ago_ms")

    def __init__(self, account: str, place: str, seen_ago_ms: int | None) -> None:
        self.account = account
        self.place = place
        self.seen_ago_ms = seen_ago_ms

    @property
    def familiar(self) -> bool:
        """Whether the account has signed in from there during the last month."""
        return self.seen_ago_ms is not None and self.seen_ago_ms <= FAMILIAR_MS


def refuse_known(resources: Resources, account: str, place: str) -> None:
    """Raise TooManyRequests when this worker knows that the limit has been reached.

    This is asked before what is remembered of right passwords: whoever may not guess may not find
    a right password by how it is answered either.
    """
    known = resources.memory.keep(_Refusals).until
    until = known.get((account, place))
    if until is None:
        return
    seconds = until - time.monotonic()
    if seconds > 0:
        _refuse(seconds)
    del known[account, place]


async def admit(resources: Resources, account: str, place: str) -> Admission:
    """Raise TooManyRequests when too many logins have failed. One read."""
    limits = limits_of(account, place, familiar=False)
    standing = await resources.database.read(throttles.standing, limits, account, place)
    admission = Admission(account, place, standing.seen_ago)
    if admission.familiar:
        limits = limits_of(account, place, familiar=True)
    wait = max(wait_ms(limit, standing.empty_in.get(key, 0)) for key, limit in limits.items())
    if wait:
        known = resources.memory.keep(_Refusals).until
        known[account, place] = time.monotonic() + wait / 1000
        if len(known) > REFUSALS:
            known.popitem(last=False)
        _refuse(wait / 1000)
    return admission


async def failed(resources: Resources, admission: Admission) -> None:
    """Count a wrong password. One write."""
    counted = counted_of(admission.account, admission.place, familiar=admission.familiar)
    await resources.database.write(_count, counted)


async def succeeded(resources: Resources, admission: Admission, *, embedded: bool) -> None:
    """The address is familiar now. A write once an hour for an account and an address."""
    if admission.seen_ago_ms is None or admission.seen_ago_ms >= SEEN_MS:
        await resources.database.write(_remember, admission, embedded)


async def purge(resources: Resources) -> int:
    """Forget what no longer matters; how many rows."""
    return await resources.database.remove(throttles.purge, PURGE_BATCH, FAMILIAR_MS)


async def _count(tx: Transaction, counted: Limits) -> None:
    for key, limit in sorted(counted.items()):  # in one order: no two wait for each other
        await throttles.add(tx, key, limit.every_ms, limit.most_ms)


async def _remember(tx: Transaction, admission: Admission, embedded: bool) -> None:
    await throttles.remember(tx, admission.account, admission.place)
    if embedded:
        await accounts.logged_in(tx, admission.account)


def _refuse(seconds: float) -> NoReturn:
    raise TooManyRequests(
        "too many logins have failed; try again later", retry_after=max(1, math.ceil(seconds))
    )
