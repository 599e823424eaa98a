"""What is printed does nothing to a terminal, whoever wrote it."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from kho.cli import shown

ESCAPES = {
    "\x1b]0;title\x07": r"\x1b]0;title\x07",
    "a\nb\r\tc": r"a\nb\r\tc",
    "\x9b31m": r"\x9b31m",
    "txt.\u202egnp.exe": r"txt.\u202egnp.exe",
    "zero\u200bwidth": r"zero\u200bwidth",
    "\x00\x7f": r"\x00\x7f",
    os.fsdecode(b"\xff\x1b"): r"\xff\x1b",
    "\U000e0001": r"\U000e0001",
}
PLAIN = ("plain", "ghcr.io/team/app:1", "tiếng Việt", "日本語", "a b", "🙂", "")
OURS = "from kho.cli import exits, shown; "


@pytest.mark.parametrize("text", ESCAPES)
def test_control_characters_become_escapes(text: str) -> None:
    assert shown.printable(text) == ESCAPES[text]


@pytest.mark.parametrize("text", PLAIN)
def test_what_people_write_stays(text: str) -> None:
    assert shown.printable(text) == text


@pytest.mark.parametrize(
    "code",
    [
        r"shown.line('\x1b[2J\x07')",
        r"shown.lines('one\n\x1b[2J')",
        r"shown.table([('\x1b[2J', 'b')])",
        r"shown.content(b'\x1b[2J\n')",
        r"shown.as_json('\x1b[2J\x9b\u202e')",
        r"shown.Lines().note('\x1b[2J')",
        r"exits.fail('\x1b[2J')",
        r"exits.fail_by(OSError('\x1b[2J'))",
    ],
)
def test_no_way_of_printing_lets_one_through(code: str) -> None:
    out = on_a_terminal(code)
    assert out.strip()
    assert b"\x1b" not in out
    assert b"\xc2\x9b" not in out


def on_a_terminal(code: str, columns: int = 40) -> bytes:
    """What comes out where standard output and error are a terminal."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "COLUMNS": str(columns)}
    command = [sys.executable, "-c", OURS + code]
    subprocess.run(command, stdout=theirs, stderr=theirs, env=env, check=False, timeout=30)
    os.close(theirs)
    found = b""
    try:
        while piece := os.read(ours, 4096):
            found += piece
    except OSError:  # the end, as a terminal tells it
        pass
    finally:
        os.close(ours)
    return found


def test_bytes_stay_as_they_are_where_there_is_no_terminal() -> None:
    code = OURS + r"shown.content(b'\x1b[2J\xff\0')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=30)
    assert done.stdout == b"\x1b[2J\xff\0"


def test_a_table_is_as_wide_as_the_terminal_and_whole_without_one() -> None:
    code = "shown.table([('name', '1', 'x' * 60), ('b', '100', 'y')], right=frozenset({1}))"
    lines = on_a_terminal(code).decode().split("\r\n")
    assert len(lines[0]) == 40
    assert lines[0].endswith("…")
    assert lines[1] == "b     100  y"
    done = subprocess.run(
        [sys.executable, "-c", OURS + code], capture_output=True, check=True, timeout=30
    )
    assert b"x" * 60 in done.stdout


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    script = tmp_path / "much.py"
    script.write_text(
        "from kho.cli import exits, shown\n"
        "try:\n"
        "    while True: shown.line('x' * 999)\n"
        "except Exception as error:\n"
        "    exits.fail_by(error)\n"
    )
    command = f"{sys.executable} {script} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (141, b"")
