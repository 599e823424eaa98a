"""What is not ours is as it came: listed with its licence, unchanged."""

import hashlib
import re
from pathlib import Path

import pytest

from tests.house.tree import text, tracked

FOLDER = "kho/server/web/ui/"
ROW = re.compile(r"^\| `(.+?)` \| .+ \| (\S+) \| `([0-9a-f]{64})` \|$", re.MULTILINE)
ROWS = ROW.findall(text(FOLDER + "VENDORED.md"))


def test_everything_vendored_is_listed() -> None:
    minified = {path.removeprefix(FOLDER) for path in tracked() if ".min." in path}
    assert minified <= {path for path, _, _ in ROWS}


@pytest.mark.parametrize("path, licence, digest", ROWS)
def test_it_is_as_it_came(path: str, licence: str, digest: str) -> None:
    assert licence in {"0BSD", "ISC", "MIT"}
    assert hashlib.sha256((Path(FOLDER) / path).read_bytes()).hexdigest() == digest
