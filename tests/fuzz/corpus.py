"""Inputs worth keeping: one a line, written as the inside of a Python bytes literal.

`corpus/<target>.txt` holds seeds, and what was found with a comment above that says what it broke.
"""

from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


def targets() -> list[str]:
    """The names of all harnesses: `fuzz_ranges.py` is `ranges`."""
    return sorted(path.stem.removeprefix("fuzz_") for path in Path(__file__).parent.glob("fuzz_*"))


def kept(target: str) -> list[bytes]:
    """The inputs of a target."""
    lines = (FOLDER / f"{target}.txt").read_text(encoding="ascii").splitlines()
    return [read(line) for line in lines if line and not line.startswith("#")]


def read(line: str) -> bytes:
    r"""`a\\x00` as bytes."""
    return line.encode("ascii").decode("unicode_escape").encode("latin-1")


def written(content: bytes) -> str:
    """The other way round; never an empty line, never one that looks like a comment."""
    text = content.decode("latin-1").encode("unicode_escape").decode("ascii")
    if text.startswith("#"):
        return r"\x23" + text[1:]
    return text
