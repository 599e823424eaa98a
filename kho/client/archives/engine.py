"""The images of a docker engine, or of podman's service that speaks as one, over its socket.

source: GET /images/get?names=NAME ─► a nameless temporary file ─► Archive
target: ArchiveTarget ─► POST /images/load, as a stream ─► lines of JSON that tell how it went
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, urlsplit

import aiohttp

from kho.client.archives.archive import Archive
from kho.client.archives.sink import StreamSink
from kho.client.archives.spool import Spool
from kho.client.archives.target import ArchiveTarget
from kho.client.errors import ClientError, Misused
from kho.client.progress import SILENT, Outcome, Progress
from kho.client.stores.store import ContentMissing, Source
from kho.oci.digest import parse_digest
from kho.oci.manifest import Descriptor
from kho.oci.reference import Reference
from kho.oci.strict_json import JsonRefused, parse_object
from kho.remote.errors import Unreachable, printable

HOST: Final = "DOCKER_HOST"
SOCKET: Final = "unix:///var/run/docker.sock"
_PIECE: Final = 256 * 1024
_QUEUED: Final = 4
_TOLD: Final = 64 * 1024
# From docker 23 on; earlier ones end with "unexpected EOF".
_ZSTD: Final = (1, 42)
_OK, _MISSING = 200, 404


class EngineFailed(ClientError):
    """The engine said no; one line with its words."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Where an engine listens: `unix:///path` or `tcp://host:port`."""

    address: str

    @classmethod
    def of_user(cls) -> Self:
        """As docker finds it: $DOCKER_HOST, else the usual socket."""
        return cls(os.environ.get(HOST) or SOCKET)

    def session(self) -> aiohttp.ClientSession:
        """Connections to it; raise Misused."""
        url = urlsplit(self.address)
        connector: aiohttp.BaseConnector
        if url.scheme == "unix" and url.path:
            base, connector = "http://docker", aiohttp.UnixConnector(url.path)
        elif url.scheme in ("tcp", "http") and url.netloc:
            base, connector = f"http://{url.netloc}", aiohttp.TCPConnector()
        else:
            text = "expected unix:///path or tcp://host:port"
            raise Misused(f"{HOST}={self.address!a:.300}: {text}")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30)
        return aiohttp.ClientSession(base, connector=connector, timeout=timeout)

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Tell what breaks inside as Unreachable."""
        try:
            yield
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"docker-daemon: {self.address}: {_why(error)}") from error


def engine_name(text: str) -> str:
    """An image as the engine takes it: a name in full, or an id; raise ReferenceInvalid."""
    if text.startswith("sha256:"):
        return str(parse_digest(text))
    return str(Reference.parse(text))


class EngineSource(Archive):
    """One image of an engine, fetched when it is first asked for."""

    def __init__(self, engine: Engine, image: str, told: Progress = SILENT) -> None:
        super().__init__(image, "docker-daemon", told)
        self._engine = engine
        self._image = engine_name(image)

    async def file(self) -> Spool:
        """Its archive; raise ContentMissing, EngineFailed, Unreachable."""
        path = f"/images/get?names={quote(self._image, safe='')}"
        spool = Spool()
        try:
            async with self._engine.session() as session:
                with self._engine.asked():
                    async with session.get(path) as answer:
                        await self._fetch(answer, spool)
        except BaseException:
            spool.close()
            raise
        return spool

    async def _fetch(self, answer: aiohttp.ClientResponse, spool: Spool) -> None:
        if answer.status == _MISSING:
            raise ContentMissing(f"{self.name}: the engine has no such image")
        if answer.status != _OK:
            failed = await _failed(self.name, answer)
            if "image not known" in str(failed):  # so says podman, with 500
                raise ContentMissing(f"{self.name}: the engine has no such image")
            raise failed
        async for piece in answer.content.iter_chunked(_PIECE):
            spool.write(piece)


class _Load:
    """One POST /images/load: pieces go through a short queue; the answer may come early."""

    def __init__(self, name: str, engine: Engine, session: aiohttp.ClientSession) -> None:
        self._name = name
        self._engine = engine
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(_QUEUED)
        self._posting = asyncio.create_task(self._post(session))

    async def write(self, piece: bytes) -> None:
        """Hand it over; raise what the engine has answered meanwhile."""
        if piece and not await self._put(piece):
            await self._posting
            raise EngineFailed(f"{self._name}: the engine answered before it had everything")

    async def end(self) -> None:
        """Everything is sent: wait for the answer; raise EngineFailed, Unreachable."""
        await self._put(b"")
        await self._posting

    async def drop(self) -> None:
        """Break the connection off, unless it has ended."""
        self._posting.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._posting

    async def _put(self, piece: bytes) -> bool:
        """False when there is an answer already."""
        put = asyncio.create_task(self._queue.put(piece))
        try:
            await asyncio.wait({put, self._posting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            put.cancel()
        return not self._posting.done()

    async def _body(self) -> AsyncIterator[bytes]:
        while piece := await self._queue.get():
            yield piece

    async def _post(self, session: aiohttp.ClientSession) -> None:
        headers = {"Content-Type": "application/x-tar"}
        path = "/images/load?quiet=1"
        with self._engine.asked():
            async with session.post(path, data=self._body(), headers=headers) as answer:
                if answer.status != _OK:
                    raise await _failed(self._name, answer)
                _check(self._name, await _text(answer))


class EngineTarget(ArchiveTarget):
    """Images that go into an engine in one archive; `async with` sends it and waits."""

    def __init__(self, engine: Engine, name: str) -> None:
        super().__init__(f"docker-daemon:{name}", self._stream)
        self._engine = engine
        self._load: _Load | None = None
        self._takes_zstd = False

    def _stream(self) -> StreamSink:
        assert self._load is not None
        return StreamSink(self._load.write)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(self._engine.session())
            with self._engine.asked():
                self._takes_zstd = await _takes_zstd(session)
            self._load = _Load(self.name, self._engine, session)
            stack.push_async_callback(self._load.drop)
            await super().__aenter__()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        async with self._stack:
            await super().__aexit__(kind, error, trace)
            if error is None and self._load is not None:
                await self._load.end()

    async def take_blob(self, content: Descriptor, source: Source, told: Progress) -> Outcome:
        """Send it, unless the engine is known not to take it."""
        if content.media_type.endswith("zstd") and not self._takes_zstd:
            text = "has a layer compressed with zstd, which docker takes from version 23 on"
            raise ClientError(f"{self.name}: the image {text}")
        return await super().take_blob(content, source, told)


async def _takes_zstd(session: aiohttp.ClientSession) -> bool:
    """Whether it reads such layers: podman does, though it speaks an old version of the API."""
    async with session.get("/version") as answer:
        told = _object(await _text(answer))
    components = told.get("Components")
    for one in components if isinstance(components, list) else []:
        if isinstance(one, dict) and str(one.get("Name")).startswith("Podman"):
            return True
    found = re.match(r"(\d+)\.(\d+)", str(told.get("ApiVersion")))
    return found is not None and (int(found[1]), int(found[2])) >= _ZSTD


async def _failed(name: str, answer: aiohttp.ClientResponse) -> EngineFailed:
    text = await _text(answer)
    message = _object(text).get("message")
    told = printable(message if isinstance(message, str) else text)
    return EngineFailed(f"{name}: the engine says: {told} ({answer.status})")


async def _text(answer: aiohttp.ClientResponse) -> str:
    """The end of an answer, which is where its error is."""
    kept = b""
    async for piece in answer.content.iter_chunked(_TOLD):
        kept = (kept + piece)[-_TOLD:]
    return kept.decode("utf-8", "replace")


def _check(name: str, text: str) -> None:
    """Lines of JSON, of which one may be an error though the status was 200."""
    for line in text.splitlines():
        told = _object(line)
        detail = told.get("errorDetail")
        message = detail.get("message") if isinstance(detail, dict) else told.get("error")
        if isinstance(message, str):
            raise EngineFailed(f"{name}: the engine says: {printable(message)}")


def _object(text: str) -> dict[str, object]:
    try:
        return parse_object(text.strip().encode())
    except JsonRefused:
        return {}


def _why(error: Exception) -> str:
    cause = getattr(error, "os_error", error)
    if isinstance(cause, FileNotFoundError):
        return f"there is no such socket; is docker running? {HOST} names another one"
    if isinstance(cause, PermissionError):
        return "not allowed; docker's socket is for root and the group docker"
    if isinstance(cause, ConnectionRefusedError):
        return "nobody listens; is docker running?"
    return printable(str(error)) or type(error).__name__
