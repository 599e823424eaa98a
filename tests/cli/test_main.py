"""The client's door: version and help, quickly."""

import os
import subprocess
import sys

from click.testing import CliRunner

from kho import __version__
from kho.cli.main import main


def test_version() -> None:
    told = CliRunner().invoke(main, ["--version"])
    assert (told.exit_code, told.output) == (0, f"kho {__version__}\n")


def test_help_says_what_is_to_come() -> None:
    told = CliRunner().invoke(main, ["--help"])
    assert told.exit_code == 0
    assert "later releases" in " ".join(told.output.split())
    assert "khod" in told.output


def test_an_unknown_command_is_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["coffee"]).exit_code == 2


def test_version_needs_little() -> None:
    code = "import sys; import kho.cli.main; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    ).stdout.split()
    heavy = {"asyncio", "msgspec", "sqlalchemy", "granian", "alembic", "uvloop", "ssl"}
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
