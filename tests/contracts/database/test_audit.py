"""Rows of the audit trail: what is found, what is cut, and that no secret is written."""

import json
import string
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.server.database import audit
from kho.server.database.audit import Event, Filter
from kho.server.database.engine import Database
from kho.server.database.redaction import DETAILS_CHARACTERS, clean, clean_details

CANARY = "c4n4ry" + string.ascii_letters
EVENTS = [
    Event("login", "allowed", "user:alice", address="192.0.2.1"),
    Event("login", "failed", "user:bob", address="192.0.2.2", count=7),
    Event("manifest.push", "allowed", "robot:ci", "team/app", "1.0"),
    Event("manifest.push", "allowed", "robot:ci", "team/app/sub", "1.0"),
    Event("user.create", "allowed", "operator", target="user:carol", details={"admin": True}),
    Event("user.delete", "allowed", "operator", target="user:carol"),
    Event("user_delete", "denied", "robot:ci_", target="100%"),
]


async def found(database: Database, **wanted: Any) -> list[str]:
    rows = await database.read(audit.find, Filter(**wanted), 0, 100)
    assert rows == await database.read(audit.newest, Filter(**wanted), 100)
    return [f"{row.action} {row.actor}" for row in rows]


@pytest.fixture
async def filled(database: Database) -> Database:
    for event in EVENTS:
        await database.write(audit.record, event)
    return database


async def test_an_event_is_read_as_it_was_recorded(database: Database) -> None:
    details = {"pattern": "team/**", "name": "Nguyễn\n", "count": 3, "on": True, "off": None}
    event = Event("grant.create", "allowed", "operator", "a/b", "t", "::1", "r" * 16, details, 2)
    before = await database.read(audit.now)
    await database.write(audit.record, event)
    (row,) = await database.read(audit.find, Filter(), 0, 10)
    assert before <= row.at <= await database.read(audit.now)
    where = (row.repository, row.target, row.address, row.request_id)
    values = (row.action, row.outcome, row.actor, *where, row.count)
    assert values == event_values(event)[:-1]
    assert row.details is not None
    assert row.details.isascii()
    assert json.loads(row.details) == {**details, "name": "Nguyễn\\n"}


def event_values(event: Event) -> tuple[Any, ...]:
    where = (event.repository, event.target, event.address, event.request_id)
    return (event.action, event.outcome, event.actor, *where, event.count, event.details)


async def test_an_event_may_be_written_later(database: Database) -> None:
    await database.write(audit.record, EVENTS[0], age_ms=60_000)
    (row,) = await database.read(audit.find, Filter(), 0, 10)
    now = await database.read(audit.now)
    assert now - 70_000 < row.at <= now - 60_000


@pytest.mark.parametrize(
    "wanted, expected",
    [
        ({"actor": "user:bob"}, [1]),
        ({"actor": "robot:*"}, [2, 3, 6]),
        ({"actor": "robot:ci_*"}, [6]),
        ({"actions": ("login",)}, [0, 1]),
        ({"actions": ("user_*",)}, [6]),
        ({"actions": ("user.*",)}, [4, 5]),
        ({"actions": ("login", "manifest.*")}, [0, 1, 2, 3]),
        ({"repository": "team/app"}, [2]),
        ({"repository": "team/*"}, [2, 3]),
        ({"outcome": "failed"}, [1]),
        ({"outcome": "allowed", "actor": "*:*", "actions": ("*",)}, [0, 2, 3]),
        ({"since_ms": 1}, range(7)),
        ({"until_ms": 1}, []),
    ],
)
async def test_filters(filled: Database, wanted: dict[str, Any], expected: list[int]) -> None:
    assert await found(filled, **wanted) == [
        f"{EVENTS[n].action} {EVENTS[n].actor}" for n in expected
    ]


async def test_since_is_the_first_moment_and_until_the_first_beyond(database: Database) -> None:
    await database.write(audit.record, EVENTS[0])
    (row,) = await database.read(audit.find, Filter(), 0, 1)
    assert len(await found(database, since_ms=row.at)) == 1
    assert len(await found(database, since_ms=row.at + 1)) == 0
    assert len(await found(database, until_ms=row.at)) == 0
    assert len(await found(database, until_ms=row.at + 1)) == 1


async def test_pages_go_forward_and_the_newest_come_last(filled: Database) -> None:
    seen: list[int] = []
    while rows := await filled.read(audit.find, Filter(), seen[-1] if seen else 0, 2):
        seen += [row.id for row in rows]
    assert seen == sorted(seen)
    assert len(seen) == len(EVENTS)
    assert [row.id for row in await filled.read(audit.newest, Filter(), 3)] == seen[-3:]
    assert await filled.read(audit.last_id) == seen[-1]


async def test_last_id_of_nothing(database: Database) -> None:
    assert await database.read(audit.last_id) == 0


async def test_trim_takes_the_oldest_first_and_only_so_many(database: Database) -> None:
    for age in (5000, 1000, 9000, 7000):
        await database.write(audit.record, replace(EVENTS[0], target=str(age)), age_ms=age)
    before = await database.read(audit.now) - 3000
    assert await database.write(audit.trim, before, 2) == 2
    rows = await database.read(audit.find, Filter(), 0, 10)
    assert [row.target for row in rows] == ["5000", "1000"]
    assert await database.write(audit.trim, before, 2) == 1
    assert await database.write(audit.trim, before, 2) == 0


@pytest.mark.parametrize("ugly", ["\0", "\ud800", "\u202eabc", "\x1b[2J", "a\nb"])
async def test_any_text_can_be_written_and_none_of_it_moves_a_cursor(
    database: Database, ugly: str
) -> None:
    event = Event(ugly, ugly, ugly, ugly, ugly, ugly, ugly, {ugly: ugly, "list": [ugly]})
    await database.write(audit.record, event)
    (row,) = await database.read(audit.find, Filter(), 0, 10)
    assert row.actor.isprintable()
    assert row.details is not None
    assert all(text.isprintable() for text in json.loads(row.details))


async def test_long_text_is_cut(database: Database) -> None:
    long = "x" * 100_000
    details = {f"k{n}": long for n in range(1000)} | {"deep": [[[[[[long]]]]]]}
    event = Event(long, long, long, long, long, long, long, details, 10**30)
    await database.write(audit.record, event)
    (row,) = await database.read(audit.find, Filter(), 0, 10)
    lengths = [len(str(value)) for value in event_values(row)]  # type: ignore[arg-type]
    assert max(lengths) <= DETAILS_CHARACTERS + 100
    assert (len(row.actor), len(row.target or ""), len(row.address or "")) == (256, 512, 64)
    assert json.loads(row.details or "")["cut"] is True


SECRETS = [
    f"khop_{CANARY}",
    f"prefix khor_{CANARY} suffix",
    f"eyJhbGciOiJFUzI1NiJ9.{CANARY}.{CANARY}",
    f"https://user:{CANARY}@host/path",
    f"-----BEGIN EC PRIVATE KEY-----\n{CANARY}\n-----END EC PRIVATE KEY-----",
]


@pytest.mark.parametrize("secret", SECRETS)
async def test_no_secret_gets_in_whatever_field_it_was_typed_into(
    database: Database, run_sql: Callable[[str], str], secret: str
) -> None:
    details = {"name": secret, secret: 1, "list": [secret], "tree": {"deep": {"deeper": secret}}}
    event = Event(secret, secret, secret, secret, secret, secret, secret, details)
    await database.write(audit.record, event)
    assert CANARY[:12] not in run_sql("SELECT * FROM audit_events")


@pytest.mark.parametrize(
    "name", ["password", "old_password", "Authorization", "client_secret", "token", "private_key"]
)
async def test_values_of_secret_names_are_masked(
    database: Database, run_sql: Callable[[str], str], name: str
) -> None:
    details = {name: CANARY, "inner": {name: [CANARY], "x": {name: {"y": CANARY}}}}
    await database.write(audit.record, replace(EVENTS[0], details=details))
    assert CANARY not in run_sql("SELECT * FROM audit_events")


def test_names_of_secret_things_may_be_numbers() -> None:
    assert json.loads(clean_details({"credential": 12, "token": None}) or "") == {
        "credential": 12,
        "token": None,
    }


@pytest.mark.parametrize(
    "harmless", ["khop_ short", "eyJ", "team/app:1.0", "a@b.example", "https://host/x@y"]
)
def test_what_is_no_secret_stays(harmless: str) -> None:
    assert clean(harmless, 100) == harmless


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES))
def test_details_are_bounded_json_whatever_they_are(details: dict[str, object]) -> None:
    text = clean_details(details)
    if text is None:
        assert not details
        return
    assert text.isascii()
    assert len(text) <= DETAILS_CHARACTERS + 20
    json.loads(text, parse_constant=pytest.fail)
