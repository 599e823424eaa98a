"""How often a login may fail: the arithmetic of a leaky bucket that is one number (GCRA).

A failure puts one drop into the bucket, and one drop leaves it every `every_ms`. The number is the
moment at which the bucket will be empty. Over the brim nothing is hashed, right or wrong.

    address     60 at once, then one in ten seconds      whoever it is they try
    pair        10 at once, then one in half a minute    one account from one address
    account     100 at once, then one in a minute        one account from all unfamiliar addresses

Where an account has signed in during the last month only the pair counts. So an attacker elsewhere
cannot lock the owner out, neither by failing for the account nor by failing for others beside it.
"""

import ipaddress
from collections.abc import Mapping
from typing import Final, NamedTuple

_IPV6_NETWORK: Final = 64  # bits that tell one customer from another


class Limit(NamedTuple):
    """`burst` failures at once, then one every `every_ms`."""

    burst: int
    every_ms: int

    @property
    def most_ms(self) -> int:
        """How far ahead the moment of emptiness can be: a full bucket."""
        return self.burst * self.every_ms


ADDRESS: Final = Limit(60, 10_000)
PAIR: Final = Limit(10, 30_000)
ACCOUNT: Final = Limit(100, 60_000)
FAMILIAR_MS: Final = 30 * 86_400_000

Limits = Mapping[str, Limit]


def wait_ms(limit: Limit, empty_in_ms: int) -> int:
    """How long until one more failure fits in; 0 is now."""
    return max(0, empty_in_ms - limit.most_ms + limit.every_ms)


def after_failure(limit: Limit, empty_in_ms: int) -> int:
    """When the bucket will be empty with one drop more; it never holds more than it can."""
    return min(max(0, empty_in_ms) + limit.every_ms, limit.most_ms)


def limits_of(account: str, address: str, *, familiar: bool) -> Limits:
    """The buckets that are asked before a login, by key."""
    pair = {f"pair {address} {account}": PAIR}
    if familiar:
        return pair
    return {f"address {address}": ADDRESS, f"account {account}": ACCOUNT, **pair}


def counted_of(account: str, address: str, *, familiar: bool) -> Limits:
    """The buckets that a failure goes into, by key."""
    strange = limits_of(account, address, familiar=False)
    return {key: one for key, one in strange.items() if not (familiar and one is ACCOUNT)}


def place_of(address: str) -> str:
    """What counts as one address: all of IPv4, the network of IPv6."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64].replace(" ", "_")
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((known, _IPV6_NETWORK), strict=False))
    return str(known)
