"""All transfers together keep to the limit; whoever waits has small pieces."""

import asyncio
import os
import time

import pytest

from kho.client.errors import Misused
from kho.client.progress import Progress
from kho.client.rate import BURST_SECONDS, Rate, parse_rate
from kho.client.stores.copy import Copier
from kho.client.stores.layout import Layout

from .images import content_of, image


class Clock:
    """Time passes where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now = max(self.now, self.now + seconds)


async def test_bytes_take_their_time() -> None:
    clock = Clock()
    rate = Rate(1000, clock=clock, sleep=clock.sleep)
    for _ in range(100):
        await rate.take(100)
    assert clock.now == pytest.approx(110)
    clock.now += 1000  # what was not used is not saved up
    await rate.take(1000)
    assert clock.now == pytest.approx(1110 + 1 - BURST_SECONDS)


async def test_those_beside_each_other_share_it() -> None:
    clock = Clock()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    rate = Rate(1000, clock=clock, sleep=sleep)
    await asyncio.gather(*(rate.take(1000) for _ in range(4)))
    assert slept == [pytest.approx(count) for count in (1, 2, 3, 4)]


def test_pieces_of_a_slow_line_are_small() -> None:
    piece = os.urandom(100_000)
    parts = list(Rate(80_000).parts(piece))
    assert b"".join(parts) == piece
    assert {len(one) for one in parts} == {20_000}
    assert list(Rate(1e9).parts(piece)) == [piece]


@pytest.mark.parametrize(
    "text, rate",
    [
        ("500", 500),
        ("10k", 10_240),
        ("1.5M", 1.5 * 2**20),
        ("2GiB/s", 2**31),
        ("10mb", 10 * 2**20),
    ],
)
def test_rates_as_people_write_them(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "0", "-1", "1T", "1.2345k", "0.1"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(Misused, match="is no rate"):
        parse_rate(text)


async def test_a_copy_keeps_to_it(layout: Layout, other: Layout) -> None:
    await image(layout, "v1", *(os.urandom(100_000) for _ in range(4)))
    told = Progress()
    told.rate = Rate(400_000)
    start = time.monotonic()
    await Copier(layout, other, told=told).copy("v1", ["v1"])
    assert time.monotonic() - start > 0.7
    assert content_of(other.folder) == content_of(layout.folder)
