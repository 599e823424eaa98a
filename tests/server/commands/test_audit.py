"""`khod audit`: filters, JSON lines, following."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kho.server.cli import main
from kho.server.commands.audit import iso
from kho.server.database import audit
from kho.server.database.audit import Event
from kho.server.database.open import open_database
from kho.server.index.trail import moment

EVENTS = [
    (Event("login", "failed", "user:bob", address="192.0.2.9", count=3), 3 * 86_400_000),
    (Event("user.create", "allowed", "operator", target="user:carol"), 7_200_000),
    (Event("manifest.push", "allowed", "robot:ci", "team/app", "1.0"), 60_000),
    (Event("manifest.push", "allowed", "robot:ci", "team/app/sub", "1.0"), 50_000),
    (Event("refusal", "denied", "user:a  allowed  x", "team/app", "delete"), 40_000),
]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("KHO_", "REGISTRY_"))]:
        monkeypatch.delenv(name)


def record(url: str, *events: tuple[Event, int]) -> None:
    async def work() -> None:
        database = await open_database(url)
        for event, age_ms in events:
            await database.write(audit.record, event, age_ms=age_ms)
        await database.close()

    asyncio.run(work())


@pytest.fixture
def url(database_url: str) -> str:
    record(database_url, *EVENTS)
    return database_url


@pytest.fixture
def place(url: str, tmp_path: Path) -> list[str]:
    return ["--data", str(tmp_path / "data"), "--database", url]


def khod(place: list[str], *words: str) -> tuple[int, str, str]:
    told = CliRunner().invoke(main, ["audit", *place, *words])
    return told.exit_code, told.stdout, told.stderr


def events(place: list[str], *words: str) -> list[dict[str, Any]]:
    code, told, error = khod(place, "--json", *words)
    assert (code, error) == (0, "")
    return [json.loads(line) for line in told.splitlines()]


def numbers(place: list[str], *words: str) -> list[int]:
    known = [(one.action, one.actor, one.repository) for one, _ in EVENTS]
    return [
        known.index((row["action"], row["actor"], row["repository"]))
        for row in events(place, *words)
    ]


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize(
    "words, expected",
    [
        ((), [0, 1, 2, 3, 4]),
        (("--since", "1d"), [1, 2, 3, 4]),
        (("--since", "90m"), [2, 3, 4]),
        (("--since", "1w", "--until", "1d"), [0]),
        (("--since", "2001-01-01"), [0, 1, 2, 3, 4]),
        (("--until", "2001-01-01T00:00:00Z"), []),
        (("--actor", "user:bob"), [0]),
        (("--actor", "user:*"), [0, 4]),
        (("--action", "user.*", "--action", "login"), [0, 1]),
        (("--repository", "team/*"), [2, 4]),
        (("--repository", "team/*", "--limit", "1"), [4]),
        (("--repository", "team/**"), [2, 3, 4]),
        (("--repository", "team/ap?"), [2, 4]),
        (("--repository", "team/app/sub"), [3]),
        (("--outcome", "denied"), [4]),
        (("--limit", "2"), [3, 4]),
        (("--limit", "0"), [0, 1, 2, 3, 4]),
    ],
)
def test_filters(place: list[str], words: tuple[str, ...], expected: list[int]) -> None:
    assert numbers(place, *words) == expected


def test_a_line_of_json_says_everything(place: list[str]) -> None:
    row = events(place, "--actor", "user:bob")[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row.pop("at"))
    assert isinstance(row.pop("id"), int)
    assert row == {
        "action": "login",
        "outcome": "failed",
        "actor": "user:bob",
        "repository": None,
        "target": None,
        "address": "192.0.2.9",
        "request_id": None,
        "count": 3,
        "details": None,
    }


def test_lines_for_people(place: list[str]) -> None:
    code, told, _ = khod(place)
    lines = told.splitlines()
    assert code == 0
    assert lines[0].split()[1:] == ["failed", "login", "user:bob", "-", "-", "192.0.2.9", "x3"]
    assert lines[2].split()[3:] == ["robot:ci", "team/app", "1.0", "-"]
    assert '"user:a  allowed  x"' in lines[4]


def test_a_hundred_are_shown_and_the_newest_last(database_url: str, tmp_path: Path) -> None:
    record(database_url, *((Event("login", "allowed", f"user:{n}"), 0) for n in range(120)))
    _, told, _ = khod(["--data", str(tmp_path), "--database", database_url])
    assert [line.split()[3] for line in told.splitlines()] == [f"user:{n}" for n in range(20, 120)]


@pytest.mark.parametrize(
    "words, named",
    [
        (("--since", "yesterday"), "'yesterday' is no time; allowed is a time ago such as 90m"),
        (("--until", "99999999-01-01"), "is no time"),
        (("--repository", "Team"), "is not allowed; allowed is a repository name"),
        (("--outcome", "odd"), "'allowed', 'denied', 'failed'"),
        (("--limit", "-1"), "--limit"),
    ],
)
def test_mistakes_are_told(place: list[str], words: tuple[str, ...], named: str) -> None:
    code, told, error = khod(place, *words)
    assert (code, told) == (2, "")
    assert named in error


@pytest.mark.parametrize(
    "text, expected",
    [
        ("1s", "2026-01-01T23:59:59.000Z"),
        ("2w", "2025-12-19T00:00:00.000Z"),
        ("2026-11-01", "2026-11-01T00:00:00.000Z"),
        ("2026-11-01T10:00:00+07:00", "2026-11-01T03:00:00.000Z"),
        ("2026-11-01 10:00:00.5", "2026-11-01T10:00:00.500Z"),
    ],
)
def test_moments(text: str, expected: str) -> None:
    assert iso(moment(text, 1_767_312_000_000)) == expected


@pytest.fixture
def follower(place: list[str]) -> Iterator[subprocess.Popen[str]]:
    words = ["audit", *place, "--json", "--follow", "--limit", "1", "--action", "login"]
    command = [sys.executable, "-m", "kho.server.cli", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_follow(follower: subprocess.Popen[str], url: str) -> None:
    assert follower.stdout is not None
    assert json.loads(follower.stdout.readline())["actor"] == "user:bob"
    record(url, (Event("login", "allowed", "user:new"), 0), (EVENTS[1][0], 0))
    assert json.loads(follower.stdout.readline())["actor"] == "user:new"
    record(url, (Event("login", "allowed", "user:newer"), 0))
    assert json.loads(follower.stdout.readline())["actor"] == "user:newer"
    follower.send_signal(signal.SIGINT)
    assert follower.wait(10) == 0
    assert follower.stdout.read() == ""
