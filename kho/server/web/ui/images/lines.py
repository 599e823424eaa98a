"""How two texts differ, line by line, in bounded time.

The way with the fewest changes (E. Myers, "An O(ND) difference algorithm and its variations",
1986), as far as there is one of DISTANCE changes:

        new lines ─►     A way from the top left to the bottom right: to the right is a new line,
    old  +─+             down one that went, aslant a line of both. Ways of 0, 1, 2, ... changes
    │      |             are tried; how far each comes on every diagonal is kept, to find the way
    ▼      +─+           back.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

DISTANCE: Final = 400
CONTEXT: Final = 3
# More lines than these are no page's: those behind are left out.
MOST: Final = 6000
_AT_ONCE: Final = 25
_BLOCK: Final = re.compile(r"[+-]+")


class Line(NamedTuple):
    """A line: `sign` is "+", "-", " ", or "@" for where a piece begins."""

    sign: str
    text: str


async def compared(a: str, b: str) -> list[Line]:
    """Pieces that differ, with some lines around them, the first MOST lines of all.

    Nothing for texts that are the same.
    """
    old, new = _split(a), _split(b)
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    middle = old[start : len(old) - end], new[start : len(new) - end]
    found = await _ways(*middle)
    steps = found if found is not None else "-" * len(middle[0]) + "+" * len(middle[1])
    # Lines that went stand before those that came in their place.
    steps = _BLOCK.sub(lambda block: "".join(sorted(block[0], reverse=True)), steps)
    return _pieces(old, new, " " * start + steps + " " * end)


def _split(text: str) -> list[str]:
    """Lines; what a page would not show of their ends is shown."""
    found = text.replace("\r", "␍").split("\n")
    if found[-1]:
        found[-1] += " ␄"  # no line end at the end
    else:
        found.pop()
    return found


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    count = 0
    for one, other in zip(a, b, strict=False):
        if one != other:
            break
        count += 1
    return count


async def _ways(a: Sequence[str], b: Sequence[str]) -> str | None:
    """The signs of the shortest way; None where it has more than DISTANCE changes."""
    far: dict[int, int] = {1: 0}
    kept: list[dict[int, int]] = []
    for distance in range(min(DISTANCE, len(a) + len(b)) + 1):
        if distance % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)  # requests have their turn
        kept.append(far)
        now: dict[int, int] = {}
        for diagonal in range(-distance, distance + 1, 2):
            x = _start(far, diagonal, distance)
            y = x - diagonal
            while x < len(b) and y < len(a) and b[x] == a[y]:
                x, y = x + 1, y + 1
            now[diagonal] = x
            if x >= len(b) and y >= len(a):
                return _back(kept, len(a), len(b))
        far = now
    return None


def _is_down(far: dict[int, int], diagonal: int, distance: int) -> bool:
    """Whether the change that leads onto a diagonal is a line that went: that way came further."""
    if diagonal in {-distance, distance}:
        return diagonal == -distance
    return far[diagonal - 1] < far[diagonal + 1]


def _start(far: dict[int, int], diagonal: int, distance: int) -> int:
    """How far to the right a way with one more change is when it comes onto a diagonal."""
    down = _is_down(far, diagonal, distance)
    return far[diagonal + 1] if down else far[diagonal - 1] + 1


def _back(kept: list[dict[int, int]], rows: int, columns: int) -> str:
    signs: list[str] = []
    x, y = columns, rows
    for distance in range(len(kept) - 1, -1, -1):
        diagonal = x - y
        begun = _start(kept[distance], diagonal, distance)
        # On its diagonal the way goes through lines of both, back to where it came onto it.
        signs.append(" " * (x - begun))
        x, y = begun, begun - diagonal
        if distance:
            down = _is_down(kept[distance], diagonal, distance)
            signs.append("-" if down else "+")
            x, y = (x, y - 1) if down else (x - 1, y)
    return "".join(reversed(signs))


def _pieces(old: Sequence[str], new: Sequence[str], steps: str) -> list[Line]:
    found: list[Line] = []
    near = _near(steps)
    at = to = 0
    shown = False
    for position, sign in enumerate(steps):
        if near[position]:
            if len(found) >= MOST:
                break
            if not shown:
                found.append(Line("@", f"{at + 1} → {to + 1}"))
            text = new[to] if sign == "+" else old[at]
            found.append(Line(sign, text))
        shown = bool(near[position])
        at += sign != "+"
        to += sign != "-"
    return found


def _near(steps: str) -> bytearray:
    """Which steps are changes, or at most CONTEXT away from one."""
    found = bytearray(len(steps))
    for block in _BLOCK.finditer(steps):
        start, stop = max(0, block.start() - CONTEXT), min(len(steps), block.end() + CONTEXT)
        found[start:stop] = b"\1" * (stop - start)
    return found
