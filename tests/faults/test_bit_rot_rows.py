"""F11: manifests are rows; what happens to their bytes is seen, told, and healed by a push."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from typing import Any, Final

import aiohttp
import pytest

from kho.oci.digest import Digest
from kho.server.database.drivers.sqlite_connection import open_file
from tests.faults.conftest import VictimMaker, victim_name
from tests.faults.scale import report, rounds, seed
from tests.faults.victim import Victim
from tests.oci.samples import encode, image, index
from tests.postgres import PostgresServer

WORKERS: Final = 3
ASKED: Final = 6
DAMAGES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "flip": lambda body: body[:50] + bytes([body[50] ^ 1]) + body[51:],
    "flip the last bit": lambda body: body[:-1] + bytes([body[-1] ^ 1]),
    "a longer one": lambda body: body + b" ",
    "truncate": lambda body: body[: len(body) // 2],
    "empty": lambda _: b"",
}
Spoil = Callable[[dict[str, bytes]], None]


def batched(lines: list[str], size: int = 50) -> list[list[str]]:
    """So many that they fit into an argument."""
    return [lines[start : start + size] for start in range(0, len(lines), size)]


@pytest.fixture
async def victim(new_victim: VictimMaker) -> Victim:
    """Several workers, each of which remembers what it has hashed."""
    victim = new_victim(WORKERS)
    victim.start()
    await victim.ready()
    return victim


@pytest.fixture
async def session(victim: Victim) -> AsyncIterator[aiohttp.ClientSession]:
    """Each request on a connection of its own, so that all workers are met."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(f"{victim.url}/", connector=connector) as session:
        yield session


@pytest.fixture
def spoil(victim: Victim, database: str, request: pytest.FixtureRequest) -> Spoil:
    """Other bytes in the rows of these digests, behind the server's back."""

    def in_file(bodies: dict[str, bytes]) -> None:
        with closing(open_file(str(victim.data / "kho.db"), mode="rw")) as connection:
            for digest, body in bodies.items():
                connection.execute("UPDATE manifests SET body = ? WHERE digest = ?", (body, digest))

    def in_server(bodies: dict[str, bytes]) -> None:
        server = request.getfixturevalue("postgres")
        assert isinstance(server, PostgresServer)
        update = "UPDATE manifests SET body = '\\x%s' WHERE digest = '%s'"
        lines = [update % (body.hex(), digest) for digest, body in bodies.items()]
        for some in batched(lines):
            server.sql("; ".join(some), database=victim_name())

    return in_file if database == "sqlite" else in_server


async def put(session: aiohttp.ClientSession, reference: object, body: bytes) -> None:
    """Push it once more or for the first time."""
    async with session.put(f"v2/rot/manifests/{reference}", data=body) as answer:
        assert answer.status == 201, await answer.text()


async def ask(session: aiohttp.ClientSession, method: str, reference: object) -> set[bytes | int]:
    """The bytes, or the status when it is another than 200, of several workers."""

    async def once() -> bytes | int:
        async with session.request(method, f"v2/rot/manifests/{reference}") as answer:
            return await answer.read() if answer.status == 200 else answer.status

    return set(await asyncio.gather(*(once() for _ in range(ASKED))))


async def lists(session: aiohttp.ClientSession, subject: Digest) -> list[dict[str, Any]]:
    """Tags and referrers, which tell nothing of the bytes."""
    found = []
    for path in ("v2/rot/tags/list", f"v2/rot/referrers/{subject}"):
        async with session.get(path) as answer:
            assert answer.status == 200
            found.append(await answer.json())
    return found


async def figure(session: aiohttp.ClientSession) -> int:
    """How many damaged manifests the server tells of."""
    async with session.get("metrics") as answer:
        found = re.search(r"^kho_manifests_damaged_total (\d+)", await answer.text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def test_F11_a_damaged_manifest_is_never_served_and_a_push_heals(
    victim: Victim, session: aiohttp.ClientSession, spoil: Spoil
) -> None:
    config = "v2/rot/blobs/uploads/?digest=" + str(Digest.of(b"{}"))
    async with session.post(config, data=b"{}") as answer:
        assert answer.status == 201
    subject = encode(image(b"{}"))
    about = {
        "mediaType": image(b"{}")["mediaType"],
        "digest": str(Digest.of(subject)),
        "size": len(subject),
    }
    stored = {
        "one": subject,
        "refers": encode(image(b"{}", subject=about)),
        "all": encode(index(subject)),
    }
    for tag, body in stored.items():
        await put(session, tag, body)
    before = await lists(session, Digest.of(subject))
    for name, damage in DAMAGES.items():
        for tag, body in stored.items():  # every worker knows it as right
            assert await ask(session, "GET", tag) == {body}, name
        told = await figure(session)
        spoil({str(Digest.of(body)): damage(body) for body in stored.values()})
        for tag, body in stored.items():
            for reference in (tag, Digest.of(body)):
                for method in ("GET", "HEAD"):
                    assert await ask(session, method, reference) == {404}, (name, tag, method)
            assert f'"digest":"{Digest.of(body)}"' in victim.log.read_text()
        assert await figure(session) >= told + len(stored)
        assert await lists(session, Digest.of(subject)) == before
        for tag, body in stored.items():
            await put(session, Digest.of(body) if tag == "all" else tag, body)
            assert await ask(session, "GET", tag) == {body}, name
            assert await ask(session, "GET", Digest.of(body)) == {body}
        assert await lists(session, Digest.of(subject)) == before
    assert victim.fsck() == ""


async def test_F11_fsck_finds_all_damaged_manifests(
    victim: Victim, session: aiohttp.ClientSession, spoil: Spoil, database: str
) -> None:
    drawn = seed()
    draw = random.Random(drawn)
    async with session.post(f"v2/rot/blobs/uploads/?digest={Digest.of(b'{}')}", data=b"{}") as made:
        assert made.status == 201
    numbers = range(rounds(short=10, long=300))
    bodies = {
        str(Digest.of(body)): body
        for body in (encode(image(b"{}", number=number)) for number in numbers)
    }
    for digest, body in bodies.items():
        await put(session, digest, body)
    spoil({digest: draw.choice(list(DAMAGES.values()))(body) for digest, body in bodies.items()})
    told = victim.fsck()
    assert [digest for digest in bodies if digest not in told] == []
    assert len(re.findall(r"^(?:1: )?manifest\.damaged", told, re.MULTILINE)) == len(bodies)
    for digest, body in bodies.items():
        await put(session, digest, body)
    assert victim.fsck() == ""
    report("F11", database=database, seed=drawn, manifests=len(bodies), found=len(bodies))
