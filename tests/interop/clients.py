"""Where the clients are, and what happens when one is missing."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GO_TOOLS = ROOT / ".cache" / "go-tools"

_REQUIRED = os.environ.get("KHO_INTEROP_REQUIRE", "").split(",")

missing: set[str] = set()


def program(name: str) -> Path:
    """The client's executable.

    Without it the test fails when KHO_INTEROP_REQUIRE is `all` or lists the client, and else is
    left out and named in the summary.
    """
    built = GO_TOOLS / name
    found = str(built) if built.exists() else shutil.which(name)
    if found:
        return Path(found)
    missing.add(name)
    told = f"missing: {name} (.ci/install interop installs it)"
    if "all" in _REQUIRED or name in _REQUIRED:
        pytest.fail(told)
    pytest.skip(told)
