"""Everything in the corpus again, as it is, cut, doubled and grown: no atheris is needed."""

from importlib import import_module
from itertools import pairwise

import pytest

from tests.fuzz import corpus
from tests.fuzz.budget import TooSlow, timed

GROWN = 8 * 1024


@pytest.mark.parametrize("target", corpus.targets())
def test_what_is_kept(target: str) -> None:
    check = import_module(f"tests.fuzz.fuzz_{target}").check
    contents = corpus.kept(target)
    assert contents
    for content in (b"", *contents):
        timed(check, content)
        for place in range(0, len(content), max(1, len(content) // 6)):
            check(content[:place])
            check(content[:place] + b"\xff" + content[place:])
    for one, other in pairwise(contents):
        check(one + other)


@pytest.mark.parametrize("target", corpus.targets())
def test_time_grows_with_the_input(target: str) -> None:
    check = import_module(f"tests.fuzz.fuzz_{target}").check
    for content in corpus.kept(target):
        for piece in (content[-1:], content):
            timed(check, content + piece * (GROWN // max(1, len(piece))))


def test_no_corpus_is_left_over() -> None:
    assert sorted(path.stem for path in corpus.FOLDER.glob("*")) == corpus.targets()


def test_lines_are_read_as_they_are_written() -> None:
    every = bytes(range(256))
    assert corpus.read(corpus.written(every)) == every
    assert corpus.read(corpus.written(b"#x")) == b"#x"
    assert not corpus.written(b"#x\n\r").startswith("#")


def test_slow_checks_are_caught() -> None:
    def exponential(data: bytes) -> None:
        rounds = 2 ** len(data)
        while rounds:
            rounds -= 1

    with pytest.raises(TooSlow):
        timed(exponential, b"a" * 23)
