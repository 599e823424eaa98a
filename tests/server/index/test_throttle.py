"""Failed logins: the arithmetic, the rows that do the same, and who is refused."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.oci.errors import TooManyRequests
from kho.server.database import schema
from kho.server.database.engine import Transaction
from kho.server.database.identities import throttles
from kho.server.database.statement import Statement
from kho.server.index import throttle
from kho.server.jobs.schedule import JOBS
from kho.server.policy.throttle import (
    ACCOUNT,
    ADDRESS,
    FAMILIAR_MS,
    PAIR,
    Limit,
    after_failure,
    counted_of,
    limits_of,
    place_of,
    wait_ms,
)
from kho.server.resources import Memory, Resources
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry

HERE, THERE = "192.0.2.1", "198.51.100.7"
limits = st.builds(Limit, st.integers(1, 200), st.integers(1, 100_000))


@pytest.fixture
def resources(registry: Registry) -> Resources:
    """What one worker stands on."""
    found = registry.workers[-1].app.resources
    assert found is not None
    return found


@given(limit=limits, gaps=st.lists(st.integers(0, 50_000), max_size=300))
def test_no_more_failures_than_the_limit_lets_through(limit: Limit, gaps: list[int]) -> None:
    empty_at = now = let_through = 0
    for gap in gaps:
        now += gap
        if wait_ms(limit, empty_at - now) == 0:
            let_through += 1
            empty_at = now + after_failure(limit, empty_at - now)
        assert let_through <= limit.burst + now / limit.every_ms + 1


@given(limit=limits, empty_in=st.integers(-(10**9), 10**9))
def test_the_wait_is_as_long_as_it_says_and_no_longer(limit: Limit, empty_in: int) -> None:
    wait = wait_ms(limit, empty_in)
    assert wait_ms(limit, empty_in - wait) == 0
    assert wait == 0 or wait_ms(limit, empty_in - wait + 1) == 1
    assert wait_ms(limit, after_failure(limit, empty_in)) <= limit.every_ms


@pytest.mark.parametrize(
    "address, place",
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix socket", "unix_socket"),
        ("x" * 100, "x" * 64),
    ],
)
def test_what_one_address_is(address: str, place: str) -> None:
    assert place_of(address) == place


def test_a_familiar_address_is_asked_for_the_pair_alone() -> None:
    assert list(limits_of("alice", HERE, familiar=True).values()) == [PAIR]
    assert set(limits_of("alice", HERE, familiar=False).values()) == {ADDRESS, ACCOUNT, PAIR}
    assert set(counted_of("alice", HERE, familiar=True).values()) == {ADDRESS, PAIR}
    assert set(counted_of("alice", HERE, familiar=False).values()) == {ADDRESS, ACCOUNT, PAIR}


async def fail(resources: Resources, account: str, place: str, times: int = 1) -> None:
    """Fail, as often as that, if it is still allowed."""
    for _ in range(times):
        await throttle.failed(resources, await throttle.admit(resources, account, place))


async def refused(resources: Resources, account: str, place: str) -> int:
    """Seconds to wait; 0 is not refused. Another worker, which knows only what the rows say."""
    try:
        await throttle.admit(replace(resources, memory=Memory()), account, place)
    except TooManyRequests as error:
        return int(dict(error.headers)["Retry-After"])
    return 0


@on_both_databases
async def test_the_rows_do_what_the_arithmetic_says(resources: Resources) -> None:
    limit = Limit(3, 100_000)
    expected = 0
    for _ in range(5):
        await resources.database.write(throttles.add, "k", limit.every_ms, limit.most_ms)
        found = await resources.database.read(throttles.standing, ["k", "l"], "alice", HERE)
        expected = after_failure(limit, expected)
        assert expected - 30_000 < found.empty_in["k"] <= expected
        assert "l" not in found.empty_in


@on_both_databases
async def test_one_account_from_one_address(resources: Resources) -> None:
    await fail(resources, "alice", HERE, PAIR.burst)
    assert 0 < await refused(resources, "alice", HERE) <= PAIR.every_ms / 1000
    assert await refused(resources, "alice", THERE) == 0
    assert await refused(resources, "bob", HERE) == 0


@on_both_databases
async def test_one_address_for_any_account(resources: Resources) -> None:
    for number in range(ADDRESS.burst):
        await fail(resources, f"user{number}", HERE)
    assert 0 < await refused(resources, "bob", HERE) <= ADDRESS.every_ms / 1000
    assert await refused(resources, "bob", THERE) == 0


async def test_one_account_from_anywhere(resources: Resources) -> None:
    await throttle.succeeded(
        resources, await throttle.admit(resources, "alice", THERE), embedded=True
    )
    for number in range(ACCOUNT.burst):
        await fail(resources, "alice", f"203.0.113.{number}")
    assert 0 < await refused(resources, "alice", HERE) <= ACCOUNT.every_ms / 1000
    assert await refused(resources, "alice", THERE) == 0  # the owner's
    assert await refused(resources, "bob", HERE) == 0


async def test_failures_at_a_familiar_address_do_not_count_for_the_account(
    resources: Resources,
) -> None:
    admission = await throttle.admit(resources, "alice", THERE)
    await throttle.succeeded(resources, admission, embedded=False)
    await fail(resources, "alice", THERE, PAIR.burst)
    found = await resources.database.read(
        throttles.standing, limits_of("alice", THERE, familiar=False), "alice", THERE
    )
    assert set(found.empty_in) == {f"address {THERE}", f"pair {THERE} alice"}


async def test_many_at_once_are_counted_and_no_more_than_full(resources: Resources) -> None:
    admission = await throttle.admit(resources, "alice", HERE)
    await asyncio.gather(*(throttle.failed(resources, admission) for _ in range(40)))
    assert 0 < await refused(resources, "alice", HERE) <= PAIR.every_ms / 1000
    found = await resources.database.read(throttles.standing, [f"address {HERE}"], "x", HERE)
    assert found.empty_in[f"address {HERE}"] > 39 * ADDRESS.every_ms


async def test_a_worker_remembers_its_refusal(resources: Resources) -> None:
    throttle.refuse_known(resources, "alice", HERE)
    await fail(resources, "alice", HERE, PAIR.burst)
    throttle.refuse_known(resources, "alice", HERE)
    with pytest.raises(TooManyRequests):
        await throttle.admit(resources, "alice", HERE)
    with pytest.raises(TooManyRequests) as error:
        throttle.refuse_known(resources, "alice", HERE)
    assert int(dict(error.value.headers)["Retry-After"]) >= 1
    throttle.refuse_known(resources, "alice", THERE)


AGED = Statement(schema.throttles.update().values(free_at=schema.throttles.c.free_at - 3_600_000))
LONG_AGO = Statement(
    schema.familiar_addresses.update().values(
        seen_at=schema.familiar_addresses.c.seen_at - FAMILIAR_MS
    )
)


async def run(tx: Transaction, statement: Statement) -> int:
    """Execute it."""
    return await tx.run(statement)


@on_both_databases
async def test_what_is_over_is_purged(resources: Resources) -> None:
    admission = await throttle.admit(resources, "alice", THERE)
    await throttle.succeeded(resources, admission, embedded=False)
    await fail(resources, "bob", HERE, PAIR.burst)
    assert await throttle.purge(resources) == 0
    assert (await throttle.admit(resources, "alice", THERE)).familiar
    await resources.database.write(run, AGED)
    await resources.database.write(run, LONG_AGO)
    await asyncio.sleep(0.02)
    assert not (await throttle.admit(resources, "alice", THERE)).familiar
    assert await refused(resources, "bob", HERE) == 0
    (job,) = [one for one in JOBS if one.run is throttle.purge]
    assert await job.run(resources) == 4
    assert await throttle.purge(resources) == 0
