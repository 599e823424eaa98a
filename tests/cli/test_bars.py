"""Bars on terminals of all widths."""

import io

import pytest
from rich.console import Console

from kho.cli.bars import Bars
from kho.client.progress import Outcome
from kho.oci.digest import Digest
from kho.oci.manifest import Descriptor


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
    assert ("4.0/6.0 MB" in text or "2.0/6.0" in text or "/6.0 MB" in text) is (width >= 44)
    assert "[red]" in text.replace("\n", "")


def test_without_colours() -> None:
    assert "\x1b[3" in shown(100)
    assert "\x1b[3" not in shown(100, NO_COLOR="1")
