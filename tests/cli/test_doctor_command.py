"""`kho doctor` as a program sees it: lines, JSON, exit codes."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kho.cli.main import main


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where nobody listens, and never will while the test runs."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def doctor(*words: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *words])


def test_lines(port: int) -> None:
    told = doctor(f"127.0.0.1:{port}")
    first, last = told.stdout.splitlines()
    assert first == "ok   name: 127.0.0.1 is 127.0.0.1"
    assert last.startswith(f"FAIL connection: 127.0.0.1 port {port}: refused. Nothing listens")
    assert told.exit_code == 5


def test_json(port: int) -> None:
    told = doctor(f"127.0.0.1:{port}/team/app", "--json")
    value = json.loads(told.stdout)
    assert (value["registry"], value["repository"]) == (f"127.0.0.1:{port}", "team/app")
    assert [one["verdict"] for one in value["steps"]] == ["ok", "fail"]
    assert told.exit_code == 5


@pytest.mark.parametrize("words", [("a b",), ("reg.example/UPPER",), ("reg.example", "--push")])
def test_wrong_usage(words: tuple[str, ...]) -> None:
    assert doctor(*words).exit_code == 2
