"""Which files were verified is known to all workers, and not for ever."""

import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kho.server.storage import verified
from kho.server.storage.verified import KEEP_SECONDS, SETS, WAYS, Identity, Verified, identity_of


def identity(number: int) -> Identity:
    return Identity(1, number, 1000, 2**62 + number, -number)


@pytest.fixture
def shared() -> Iterator[None]:
    """A map for the workers of this test."""
    verified.share()
    yield
    verified._Shared.words = None


def test_what_was_added_is_known() -> None:
    known = Verified()
    assert identity(1) not in known
    known.add(identity(1))
    assert identity(1) in known
    for number, _ in enumerate(Identity._fields):
        values = list(identity(1))
        values[number] += 1
        assert Identity(*values) not in known


def test_any_change_of_a_file_makes_it_unknown(tmp_path: Path) -> None:
    known, path = Verified(), tmp_path / "data"
    path.write_bytes(b"right")
    known.add(identity_of(path.stat()))
    time.sleep(0.02)  # the clock of the file system
    path.write_bytes(b"wrong")
    assert identity_of(path.stat()) not in known


@pytest.mark.usefixtures("shared")
def test_workers_tell_each_other() -> None:
    known = Verified()
    known.add(identity(1))
    there, here = multiprocessing.get_context("fork").Pipe()

    def work() -> None:
        own = Verified()
        own.add(identity(2))
        there.send(identity(1) in own)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    assert here.poll(20)
    assert here.recv()
    process.join(20)
    assert identity(2) in known
    assert identity(2) in Verified()


def test_without_a_parent_each_storage_knows_its_own() -> None:
    Verified().add(identity(1))
    assert identity(1) not in Verified()


def test_after_a_day_it_is_looked_at_again() -> None:
    known = Verified()
    known.add(identity(1))
    _, start = known._place(identity(1))
    entries = known._words[start : start + 2 * WAYS].tolist()
    end = start + entries.index(max(entries)) + 1
    assert 0 <= time.monotonic() + KEEP_SECONDS - known._words[end] < 10
    known._words[end] = int(time.monotonic())
    assert identity(1) not in known
    known.add(identity(1))
    assert identity(1) in known
    assert known._words[start : start + 2 * WAYS].tolist().count(0) == 2 * WAYS - 2


def test_of_too_many_the_oldest_are_forgotten() -> None:
    known = Verified()
    count = SETS * WAYS // 2
    for number in range(count):
        known.add(identity(number))
    kept = sum(identity(number) in known for number in range(count))
    assert kept > 0.95 * count  # sets fill unevenly
    assert identity(count - 1) in known
