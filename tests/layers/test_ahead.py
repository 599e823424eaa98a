"""Bytes that are made ready ahead by a thread."""

import io
import random
import threading

import pytest

from kho.layers.ahead import ahead
from kho.layers.errors import LayerRefused

CONTENT = random.Random(3).randbytes(9_000_000)


class Refusing:
    """Breaks off in the middle."""

    def __init__(self) -> None:
        self.pieces = [b"one", b"two"]

    def read(self, _: int, /) -> bytes:
        if not self.pieces:
            raise LayerRefused("no more of it")
        return self.pieces.pop(0)


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name == "kho-ahead"]


@pytest.mark.parametrize("count", [1000, 300_000])
def test_what_is_read_ahead_is_what_there_is(count: int) -> None:
    with ahead(io.BytesIO(CONTENT)) as reader:
        pieces = []
        while piece := reader.read(count):
            pieces.append(piece)
        assert reader.read(1) == b""
    assert b"".join(pieces) == CONTENT
    assert not threads()


def test_an_error_comes_where_it_belongs_and_stays() -> None:
    with ahead(Refusing()) as reader:
        assert reader.read(100) == b"one"
        assert reader.read(2) == b"tw"
        assert reader.read(100) == b"o"
        for _ in range(2):
            with pytest.raises(LayerRefused, match="no more of it"):
                reader.read(100)
    assert not threads()


def test_whoever_leaves_early_leaves_no_thread_behind() -> None:
    with ahead(io.BytesIO(CONTENT)) as reader:
        assert reader.read(10) == CONTENT[:10]
    assert not threads()
