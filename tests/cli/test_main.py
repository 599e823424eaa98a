"""The client's door: version and help, quickly."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from kho import __version__
from kho.cli.main import COMMANDS, main


def test_version() -> None:
    told = CliRunner().invoke(main, ["--version"])
    assert (told.exit_code, told.output) == (0, f"kho {__version__}\n")


def test_help_lists_the_commands() -> None:
    told = CliRunner().invoke(main, ["--help"])
    assert told.exit_code == 0
    for name, text in COMMANDS.items():
        assert f"  {name} " in told.output
        assert text.split()[0] in told.output


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_tells_what_it_does(name: str) -> None:
    told = CliRunner().invoke(main, [name, "--help"])
    assert told.exit_code == 0
    assert COMMANDS[name].split()[0] in told.output


def test_an_unknown_command_is_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["coffee"]).exit_code == 2


def test_version_needs_little() -> None:
    code = "import sys; import kho.cli.main; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    ).stdout.split()
    heavy = {"asyncio", "msgspec", "sqlalchemy", "granian", "alembic", "uvloop", "ssl", "aiohttp"}
    assert not heavy & set(loaded)


def test_version_is_quick() -> None:
    assert min(timed() for _ in range(5)) < 0.25  # 0.05 s on an idle machine


def timed() -> float:
    """Seconds of processor time: other tests run at the same time."""
    before = os.times()
    command = [sys.executable, "-m", "kho.cli.main", "--version"]
    subprocess.run(command, capture_output=True, check=True, timeout=30)
    after = os.times()
    return after[2] + after[3] - before[2] - before[3]
