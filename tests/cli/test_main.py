"""The client's door: version and help, quickly."""

import os
import subprocess
import sys
from itertools import chain

import pytest
from click.testing import CliRunner

from kho import __version__
from kho.cli.main import COMMANDS, SECTIONS, main


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


def test_a_command_with_a_near_name_is_told() -> None:
    told = CliRunner().invoke(main, ["manifst"])
    assert told.exit_code == 2
    assert "manifest" in told.output.rpartition("No such command")[2]


def test_help_has_sections_that_name_only_what_there_is() -> None:
    told = CliRunner().invoke(main, ["--help"]).output
    for title in SECTIONS:
        assert f"\n{title}:\n" in told or not {*chain(*SECTIONS[title])} & {*COMMANDS}
    for code in (*range(7), 130, 141):
        assert f"\n    {code} " in told


def test_no_command_stands_in_two_sections() -> None:
    names = [name for rows in SECTIONS.values() for name in chain(*rows)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "name", ["blob", "cat", "completion", "diff", "ls", "manifest", "search", "tree", "validate"]
)
def test_help_has_examples_that_begin_with_the_command(name: str) -> None:
    told = CliRunner().invoke(main, [name, "--help"]).output
    examples = told.partition("\n  Examples:\n")[2].partition("\n\n")[0]
    assert f"kho {name} " in examples
    assert max(map(len, examples.splitlines())) <= 80


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
