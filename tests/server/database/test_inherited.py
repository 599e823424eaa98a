"""What is done before workers are forked, so that they share it."""

import subprocess
import sys

import pytest

from kho.server.database import inherited
from kho.server.database.errors import UnusableDatabase

FRESH = """
import sys
from kho.server.database import inherited, manifests
import kho.server.web.app
assert "asyncpg" not in sys.modules
assert inherited.prepare({url!r}) > 80
assert ("sqlite" in vars(manifests._INSERT)) is {here}
assert ("postgresql" in vars(manifests._INSERT)) is not {here}
assert ("asyncpg" in sys.modules) is not {here}
"""


@pytest.mark.parametrize("url, here", [("sqlite:////x.db", True), ("postgresql://x/y", False)])
def test_only_what_the_database_of_the_workers_needs(url: str, here: bool) -> None:
    """In a process of its own, which has imported nothing yet."""
    code = FRESH.format(url=url, here=here)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_url_of_no_database_is_refused() -> None:
    with pytest.raises(UnusableDatabase):
        inherited.prepare("mysql://x")
