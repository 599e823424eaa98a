"""What a path names, remembered: clients ask for the same ones again and again."""

from functools import lru_cache
from typing import Final

from kho.server.web.converters import convert
from kho.server.web.request import Values
from kho.server.web.route import Route
from kho.server.web.routes import TABLE, match

# Some 4 MiB at most: a longer path is read anew each time.
REMEMBERED: Final = 2048
LONGEST: Final = 512


def methods_of(path: str) -> dict[str, Route] | None:
    """The rows of the URL table for this path, by method; None for no such path."""
    return _methods(path) if len(path) <= LONGEST else _methods.__wrapped__(path)


def values_of(path: str) -> Values:
    """What the path says; raises the OCI error of a part that is wrong."""
    return _values(path) if len(path) <= LONGEST else _values.__wrapped__(path)


@lru_cache(maxsize=REMEMBERED)
def _methods(path: str) -> dict[str, Route] | None:
    found = match(path)
    return None if found is None else TABLE[found[0]]


@lru_cache(maxsize=REMEMBERED)
def _values(path: str) -> Values:
    found = match(path)
    assert found is not None
    return convert(found[1])
