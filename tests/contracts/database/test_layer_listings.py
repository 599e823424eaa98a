"""Layers that are to be listed: asked for once, newest first, held by one, tried again."""

from collections.abc import Callable

from kho.server.database import layer_listings as rows
from kho.server.database.engine import Database, Transaction
from kho.server.database.layer_listings import Lease
from tests.contracts.database.samples import digest, put_blob

LONG = 60_000
OVER = -1000


async def filled(database: Database, *numbers: int) -> None:
    async def fill(tx: Transaction) -> None:
        for number in numbers:
            await put_blob(tx, "a/b", number, size=number)
            await rows.request(tx, [digest(number)])

    await database.write(fill)


async def leased(database: Database, lease_ms: int = LONG) -> Lease:
    found = await database.write(rows.lease, lease_ms)
    assert found is not None
    return found


async def state(database: Database, number: int) -> rows.Listed:
    found = await database.read(rows.states, "a/b", [digest(number)])
    return found[str(digest(number))]


async def test_a_layer_is_asked_for_once(database: Database) -> None:
    await filled(database, 1, 2)
    await database.write(rows.request, [digest(1), digest(2), digest(1)])
    assert {(await leased(database)).size, (await leased(database)).size} == {1, 2}
    assert await database.write(rows.lease, LONG) is None


async def test_the_newest_comes_first(database: Database, run_sql: Callable[[str], str]) -> None:
    await filled(database, 1, 2, 3)
    run_sql(
        f"UPDATE layer_listings SET requested_at = requested_at + 9000 WHERE digest = '{digest(2)}'"
    )
    assert (await leased(database)).digest == str(digest(2))
    assert (await leased(database)).digest == str(digest(3))
    assert (await leased(database)).digest == str(digest(1))


async def test_what_waits_comes_before_what_was_left(database: Database) -> None:
    await filled(database, 1)
    left = await leased(database, OVER)
    await filled(database, 2)
    assert (await leased(database)).digest == str(digest(2))
    again = await leased(database)
    assert (again.digest, again.attempt) == (left.digest, 2)


async def test_a_lost_lease_writes_nothing(database: Database, other: Database) -> None:
    await filled(database, 1)
    late = await leased(database, OVER)
    now = await leased(other)
    assert not await database.write(rows.put_parts, late, LONG, [(b"x", b"", b"late")])
    assert not await database.write(rows.finish, late, 1, 1)
    assert not await database.write(rows.refuse, late, "late")
    assert not await database.write(rows.renew, late, LONG)
    assert await database.write(rows.put_parts, now, LONG, [(b"", b"", b"now")])
    assert await database.write(rows.finish, now, 7, 8)
    found = await state(other, 1)
    assert (found.state, found.files, found.total_size, found.reason) == ("done", 7, 8, None)
    assert await other.read(rows.heads, [now.id], b"x") == []
    assert await other.read(rows.heads, [now.id], b"") == [(now.id, b"", b"now")]


async def test_a_lease_is_renewed_and_given_back(database: Database) -> None:
    assert not await database.read(rows.is_waiting)
    await filled(database, 1)
    assert await database.read(rows.is_waiting)
    held = await leased(database, OVER)
    assert await database.read(rows.is_waiting)
    assert await database.write(rows.renew, held, LONG)
    assert not await database.read(rows.is_waiting)
    assert await database.write(rows.lease, LONG) is None
    await database.write(rows.release, held)
    assert (await leased(database, OVER)).attempt == 1
    assert (await leased(database)).attempt == 2


async def test_what_was_refused_has_a_reason_and_no_rows(database: Database) -> None:
    await filled(database, 1)
    held = await leased(database)
    await database.write(rows.put_parts, held, LONG, [(b"", b"", b"x")])
    assert await database.write(rows.refuse, held, "a bomb")
    found = await state(database, 1)
    assert (found.state, found.reason) == ("refused", "a bomb")
    assert await database.read(rows.heads, [held.id], b"") == []
    await database.write(rows.request, [digest(1)])
    assert await database.write(rows.lease, LONG) is None


async def test_only_what_failed_often_is_tried_again(database: Database) -> None:
    await filled(database, 1)
    for attempt in range(1, 4):
        held = await leased(database, OVER)
        assert held.attempt == attempt
    await database.write(rows.refuse, held, "killed")
    assert not await database.write(rows.request_again, digest(1), 3, 60_000)
    assert not await database.write(rows.request_again, digest(1), 9, OVER)
    assert await database.write(rows.request_again, digest(1), 3, OVER)
    assert (await leased(database)).attempt == 1


async def test_a_repository_sees_its_own_layers_alone(database: Database) -> None:
    await filled(database, 1)
    await database.write(put_blob, "other", 2)
    found = await database.read(rows.states, "a/b", [digest(1), digest(2)])
    assert list(found) == [str(digest(1))]
    other = await database.read(rows.states, "other", [digest(1), digest(2)])
    assert [(one.digest, one.id, one.state) for one in other.values()] == [
        (str(digest(2)), None, None)
    ]


async def test_parts_are_found_by_directory_and_name(database: Database) -> None:
    await filled(database, 1, 2)
    first, second = await leased(database), await leased(database)
    strange = b"\xff/\x80"
    parts = [(strange, b"", b"1"), (strange, b"m\xfe", b"2"), (b"z", b"", b"3")]
    await database.write(rows.put_parts, first, LONG, parts)
    await database.write(rows.put_parts, first, LONG, parts)
    await database.write(rows.put_parts, second, LONG, [(strange, b"", b"4")])
    found = await database.read(rows.heads, [first.id, second.id], strange)
    assert sorted(found) == sorted(
        [(first.id, b"", b"1"), (first.id, b"m\xfe", None), (second.id, b"", b"4")]
    )
    assert await database.read(rows.part, first.id, strange, b"m\xfe") == b"2"
    assert await database.read(rows.part, first.id, strange, b"x") is None


async def test_layers_that_nobody_has_are_forgotten(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    await filled(database, 1, 2)
    held = await leased(database)
    await database.write(rows.put_parts, held, LONG, [(b"", b"", b"x")])
    assert await database.remove(rows.purge, 100) == 0
    run_sql(f"DELETE FROM repository_blobs WHERE digest = '{held.digest}'")
    assert await database.remove(rows.purge, 100) == 1
    assert run_sql("SELECT count(*) FROM layer_files") == "0"
