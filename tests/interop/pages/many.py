"""Ten thousand repositories as rows, as the searches of bench/ have them."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from bench.large import Rows, fill_sqlite
from bench.searchable import documents, rows
from tests.interop.servers import Server, serving

REPOSITORIES = 10_000
_FIRST = 1000  # as bench/searchable.py numbers them
_DAY_MS = 86_400_000


def fill(data: Path) -> None:
    """Write them into the folder of a server that does not run."""
    now = int(time.time() * 1000)
    other = [one for one in rows(REPOSITORIES) if one.table != "repositories"]
    fill_sqlite(data, [_repositories(now), *other])


def _repositories(now: int) -> Rows:
    """With sizes and times, so that lists have something to sort by."""
    return Rows(
        "repositories",
        (
            *("id", "name", "sort_key", "created_at", "description", "pulls", "public"),
            *("indexed", "size", "tag_count", "pushed_at"),
        ),
        (
            (
                *(number, one.name, one.name.replace("/", "!"), now - 900 * _DAY_MS),
                *(one.description, one.pulls, one.public, 1),
                *(number * 7919 % 3_000_000_000, 6, now - number % 800 * _DAY_MS),
            )
            for number, one in enumerate(documents(REPOSITORIES), _FIRST)
        ),
    )


@contextlib.contextmanager
def again(home: Path) -> Iterator[Server]:
    """Run the server over the folder."""
    with serving(home, kind="khod") as server:
        yield server
