"""Bars on terminals of all widths."""

import asyncio
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from kho.cli import shown as printed
from kho.cli.bars import Bars
from kho.client.progress import Outcome
from kho.client.stores.layout import Layout
from kho.oci.digest import Digest
from kho.oci.manifest import Descriptor
from tests.client.images import image
from tests.interop.kho_client import KHO, Kho

from .terminal import seen


def content(text: str, size: int) -> Descriptor:
    return Descriptor("layer", "application/octet-stream", Digest.of(text.encode()), size)


def shown(width: int, **environment: str) -> str:
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=True, width=width, _environ={"TERM": "xterm", **environment}
    )
    first, second, third = content("a", 4_000_000), content("b", 2_000_000), content("c", 10)
    with Bars(console) as told:
        for one in (first, second, third):
            told.begin(one)
        told.move(first, 1_000_000)
        told.move(second, 0)
        told.advance(first, 1_000_000)
        told.note("the registry is busy [red]; again in 1 s")
        told.end(second, Outcome.COPIED)
        told.end(third, Outcome.SKIPPED)
        told.advance(first, 2_000_000)
        told.end(first, Outcome.COPIED)
    return out.getvalue()


@pytest.mark.parametrize("width", [20, 50, 120])
def test_a_bar_for_each_and_one_for_all(width: int) -> None:
    text = shown(width)
    assert content("a", 1).digest.hex[:12] in text
    assert "2 of 2" in text
    assert ("/5.7 MiB" in text) is (width >= 44)
    assert "[red]" in text.replace("\n", "")


def test_without_colours() -> None:
    assert "\x1b[3" in shown(100)
    assert "\x1b[3" not in shown(100, NO_COLOR="1")


def on_terminal(tmp_path: Path, *, results: Path | None) -> tuple[str, str]:
    """What a terminal shows while an image is copied, and the digest that is the result."""
    layout = Layout(tmp_path / "layout")
    digest = str(asyncio.run(image(layout, "app")).digest)
    ours, theirs = pty.openpty()
    command = [
        str(KHO),
        "copy",
        f"oci:{layout.folder}:app",
        f"oci:{tmp_path}/to:app",
        "--progress=bar",
    ]
    env = {**os.environ, **Kho(tmp_path / "home").env, "TERM": "xterm", "COLUMNS": "100"}
    out = os.open(results, os.O_WRONLY | os.O_CREAT) if results else theirs
    done = subprocess.Popen(command, stdin=theirs, stdout=out, stderr=theirs, env=env)
    for one in {out, theirs}:
        os.close(one)
    seen = bytearray()
    while True:
        try:
            seen += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    assert done.wait(20) == 0
    os.close(ours)
    return seen.decode(), digest


def test_results_stand_on_a_line_of_their_own(tmp_path: Path) -> None:
    shown, digest = on_terminal(tmp_path, results=None)
    before, found, after = shown.partition(digest)
    assert found
    assert after.startswith("\r\n")
    assert before.endswith(("\n", "\x1b[2K", "\x1b[?25h"))


def test_results_in_a_file_are_not_on_the_terminal(tmp_path: Path) -> None:
    shown, digest = on_terminal(tmp_path, results=tmp_path / "out")
    assert digest not in shown
    assert (tmp_path / "out").read_text() == f"{digest}\n"


def test_what_is_printed_stays_when_the_bars_go(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(
        file=sys.stdout,
        force_terminal=True,
        width=100,
        _environ={"TERM": "xterm", "COLUMNS": "100"},
    )
    printed.line("before")
    parts = [content(text, 1000) for text in "abcd"]
    with Bars(console) as told:
        for number, part in enumerate(parts):
            told.begin(part)
            told.move(part, 0)
            if number == 2:
                printed.line("amid")
                told.note("a note")
        for part in parts:
            told.advance(part, 1000)
            told.end(part, Outcome.COPIED)
        printed.as_json(["the", "result"])
        printed.line("kho: interrupted")
    printed.line("after")

    wanted = ["before", "amid", "a note", "[", '  "the",', '  "result"', "]"]
    assert seen(capsys.readouterr().out) == [*wanted, "kho: interrupted", "after"]
