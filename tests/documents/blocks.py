"""The Python of a document, block by block."""

import re
import subprocess
import sys
from pathlib import Path

from tests.house.tree import text

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path: str) -> list[str]:
    """What stands in fences marked python."""
    found: list[str] = _BLOCK.findall(text(path))
    assert found, path
    return found


def python(*words: str | Path, folder: Path) -> str:
    """What Python says, started in a folder far from this tree; it must end well."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
