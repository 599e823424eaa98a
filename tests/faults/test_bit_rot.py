"""F11: what happens to bytes on the disk is seen, told, and healed by a push."""

import io
import os
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from kho.oci.digest import Digest
from tests.faults.scale import report, rounds, seed
from tests.faults.victim import Victim

SMALL: Final = 3_000
LARGE: Final = 9_000_000  # more than is hashed before the answer begins
WORKERS: Final = 3
ASKED: Final = 6


def flip(path: Path, at: float = 0.5) -> None:
    """One bit becomes another."""
    with path.open("r+b") as file:
        place = int(path.stat().st_size * at)
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1]))


def flip_last(path: Path) -> None:
    """The very last bit, which goes out last."""
    flip(path, at=1 - 1 / path.stat().st_size)


def truncate(path: Path) -> None:
    """The end is gone."""
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    """All is gone but the name."""
    os.truncate(path, 0)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "flip": flip,
    "flip the last bit": flip_last,
    "truncate": truncate,
    "empty": empty,
    "delete": Path.unlink,
}


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """One registry for all damages."""
    victim = Victim(tmp_path_factory.mktemp("rot"), workers=WORKERS)
    victim.start()
    yield victim
    found = victim.fsck()
    victim.destroy()
    assert found == ""  # every damage was healed


@pytest.fixture
async def session(victim: Victim) -> AsyncIterator[aiohttp.ClientSession]:
    """Each request on a connection of its own, so that all workers are met."""
    await victim.ready()
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(f"{victim.url}/", connector=connector) as session:
        yield session


async def push(session: aiohttp.ClientSession, content: bytes) -> Digest:
    """The whole blob in one request."""
    digest = Digest.of(content)
    body = io.BytesIO(content)
    async with session.post(f"v2/rot/blobs/uploads/?digest={digest}", data=body) as answer:
        assert answer.status == 201, await answer.text()
    return digest


def file_of(victim: Victim, digest: Digest) -> Path:
    """Where the bytes are."""
    blobs = victim.data / "docker/registry/v2/blobs"
    return blobs / digest.algorithm / digest.hex[:2] / digest.hex / "data"


async def ask(
    session: aiohttp.ClientSession, method: str, digest: Digest, span: tuple[int, int] | None = None
) -> bytes | int:
    """The bytes of an answer that came to a good end, else its status; 0 when it was cut."""
    headers = {} if span is None else {"Range": f"bytes={span[0]}-{span[1] - 1}"}
    try:
        async with session.request(method, f"v2/rot/blobs/{digest}", headers=headers) as answer:
            body = await answer.read()
            return body if answer.status in {200, 206} else answer.status
    except aiohttp.ClientError:
        return 0


async def figure(session: aiohttp.ClientSession) -> int:
    """How many damaged blobs the server tells of."""
    async with session.get("metrics") as answer:
        found = re.search(r"^kho_blobs_damaged_total (\d+)", await answer.text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("damage", DAMAGES)
async def test_F11_damage_is_never_served_and_a_push_heals(
    victim: Victim, session: aiohttp.ClientSession, damage: str, size: int
) -> None:
    content = random.Random(f"{damage}{size}").randbytes(size)
    digest = await push(session, content)
    for _ in range(ASKED):  # every worker knows the file as right
        assert await ask(session, "GET", digest) == content
    told = await figure(session)

    DAMAGES[damage](file_of(victim, digest))
    answers = [await ask(session, "GET", digest) for _ in range(ASKED)]
    assert set(answers) <= {0, 404}
    assert answers[-1] == 404
    for span in ((0, size), (0, 10), (size - 10, size), (size // 2 - 5, size // 2 + 5)):
        assert await ask(session, "GET", digest, span) == 404
    assert await ask(session, "HEAD", digest) == 404
    assert await figure(session) > told
    assert f'"digest":"{digest}"' in victim.log.read_text()

    assert await push(session, content) == digest
    assert [await ask(session, "GET", digest) for _ in range(ASKED)] == [content] * ASKED
    assert await ask(session, "HEAD", digest) == b""


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_F11_a_range_of_a_damaged_file_is_not_served_first(
    victim: Victim, session: aiohttp.ClientSession, size: int
) -> None:
    content = random.Random(size).randbytes(size)
    for at in (0.0, 0.5, 0.999):
        digest = await push(session, content)
        flip(file_of(victim, digest), at)
        span = (size // 2 - 700, size // 2 + 700)
        assert await ask(session, "GET", digest, span) in {0, 404, 500, 503}
        assert await ask(session, "GET", digest, span) == 404
    await push(session, content)
    assert await ask(session, "GET", digest, span) == content[slice(*span)]


async def test_F11_a_push_replaces_a_damaged_file_that_nobody_asked_for(
    victim: Victim, session: aiohttp.ClientSession
) -> None:
    for name, damage in DAMAGES.items():
        content = name.encode() * 1000
        digest = await push(session, content)
        damage(file_of(victim, digest))
        await push(session, content)
        assert await ask(session, "GET", digest) == content


async def test_F11_fsck_finds_all_of_it(victim: Victim, session: aiohttp.ClientSession) -> None:
    drawn = seed()
    draw = random.Random(drawn)
    contents = [draw.randbytes(draw.randrange(1, 5000)) for _ in range(rounds(short=30, long=1000))]
    digests = [await push(session, content) for content in contents]
    assert victim.fsck() == ""
    for digest in digests:
        DAMAGES[draw.choice(list(DAMAGES))](file_of(victim, digest))
    told = victim.fsck()
    assert [digest for digest in digests if str(digest) not in told] == []
    assert len(re.findall(r"^(?:1: )?blob\.", told, re.MULTILINE)) == len(digests)
    for content in contents:
        await push(session, content)
    assert victim.fsck() == ""
    report("F11", seed=drawn, damaged=len(digests), found=len(digests), healed=len(digests))
