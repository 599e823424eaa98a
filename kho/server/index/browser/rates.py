"""How often one address may begin a sign-in that leaves a row behind, or guess a short code.

Counted where failed logins are, in buckets of their own: neither fills up the other's.
"""

import math
from typing import Final, NamedTuple

from kho.oci.errors import TooManyRequests
from kho.server.database.identities import throttles
from kho.server.policy.throttle import Limit, place_of, wait_ms
from kho.server.resources import Resources


class Rate(NamedTuple):
    """A limit for each address, and the name of its buckets."""

    name: str
    limit: Limit


BEGIN_LOGIN: Final = Rate("oidc", Limit(60, 5_000))
BEGIN_DEVICE: Final = Rate("device", Limit(30, 10_000))
WRONG_CODE: Final = Rate("user-code", Limit(10, 30_000))


async def check(resources: Resources, rate: Rate, address: str) -> None:
    """Raise TooManyRequests when the address has had its share."""
    key = _key(rate, address)
    standing = await resources.database.read(throttles.standing, [key], "", "")
    wait = wait_ms(rate.limit, standing.empty_in.get(key, 0))
    if wait:
        raise TooManyRequests(
            "Too many attempts from your address: please wait a moment.",
            retry_after=max(1, math.ceil(wait / 1000)),
        )


async def spend(resources: Resources, rate: Rate, address: str) -> None:
    """Count one."""
    limit = rate.limit
    await resources.database.write(
        throttles.add, _key(rate, address), limit.every_ms, limit.most_ms
    )


def _key(rate: Rate, address: str) -> str:
    return f"{rate.name} {place_of(address)}"
