"""Drawings: a page names them where they stand, and holds the shape of each once, at its end."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Final

_USED: Final = re.compile(r'<use href="#i-([a-z0-9-]+)"/>')
_SYMBOL: Final = '<symbol id="i-{}" viewBox="0 0 24 24">{}</symbol>'


def drawings(text: str) -> str:
    """The shapes that a page needs."""
    names = sorted(set(_USED.findall(text)) & shapes().keys())
    symbols = [
        f'<symbol id="i-{one}" viewBox="0 0 24 24">{shapes()[one]}</symbol>' for one in names
    ]
    return f'<svg hidden aria-hidden="true">{"".join(symbols)}</svg>'


@cache
def shapes() -> dict[str, str]:
    """Inner SVG by name."""
    path = Path(__file__).parent / "icons.json"
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found
