"""A part of a file as body: all of it, in order, whatever the other end takes at once."""

import asyncio
import os
import random
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from kho.remote.errors import Unreachable
from kho.remote.file_body import FileBody
from kho.remote.hosts import Access, Host
from kho.remote.transport import Request, Transport

from .lab import Lab, lab, wires

CONTENT = random.Random(7).randbytes(6_000_000)
START, COUNT = 1234, 5_000_000
PLAIN = Access(plain_http=True)


async def send(transport: Transport, host: Host, fd: int, count: int = COUNT) -> int:
    """Send a part of the file; how much was told of."""
    told: list[int] = []
    body = FileBody(fd, START, count, told.append)
    headers = {"Content-Length": str(count)}
    url = f"{host.urls[0]}/x"
    async with transport.send(host, Request("PATCH", url, "the step", headers, body, once=True)):
        return sum(told)


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    """The file, open."""
    (tmp_path / "file").write_bytes(CONTENT)
    opened = os.open(tmp_path / "file", os.O_RDONLY)
    yield opened
    os.close(opened)


async def test_a_part_of_a_file(fd: int) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    async with lab(answer) as server, wires() as transport:
        host = Host.named(server.name(), PLAIN)
        for _ in range(3):  # on one connection
            assert await send(transport, host, fd) == COUNT
        assert [one.body for one in server.seen] == [CONTENT[START : START + COUNT]] * 3


async def test_a_server_that_takes_little_at_a_time(fd: int) -> None:
    got = bytearray()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while len(got) < COUNT:
            got.extend(await reader.read(40_000))
            await asyncio.sleep(0.001 if len(got) < COUNT // 4 else 0)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    async with (
        await asyncio.start_server(take, "127.0.0.1", 0, limit=65_536) as server,
        wires() as transport,
    ):
        port = server.sockets[0].getsockname()[1]
        assert await send(transport, Host.named(f"127.0.0.1:{port}", PLAIN), fd) == COUNT
    assert bytes(got) == CONTENT[START : START + COUNT]


async def test_over_tls(fd: int, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("reg.example").configure_cert(context)
    got: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        got.append(await reader.readexactly(COUNT))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    async with (
        await asyncio.start_server(take, "127.0.0.1", 0, ssl=context) as server,
        wires() as transport,
    ):
        name = Lab(server.sockets[0].getsockname()[1]).name("reg.example")
        host = Host.named(name, Access(ca_files=(tmp_path / "ca.pem",)))
        assert await send(transport, host, fd) == COUNT
    assert got == [CONTENT[START : START + COUNT]]


async def test_a_connection_that_breaks_and_a_file_that_ends_early(fd: int) -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.01)
        writer.close()

    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as server, wires() as transport:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable):
            await send(transport, Host.named(f"127.0.0.1:{port}", PLAIN), fd)
    async with lab(answer) as other, wires() as transport:
        with pytest.raises(Unreachable):
            await send(transport, Host.named(other.name(), PLAIN), fd, len(CONTENT))
