"""One blob's way into a registry, whatever happens on it.

session of an earlier run? ─► ask how far it got ─► send the rest ─► finish ─► there
    │ none: start                    ▲  413: smaller chunks      │ gone, yet there: done
    └────────────────────────────────┴─ broken, busy: rest, ask ─┘ wrong digest: anew, once

A connection that takes no bytes for as long as the wire's `silence` counts as broken, too.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from kho.client.progress import SILENT, Progress
from kho.client.stores.journal import Entry
from kho.client.stores.layout import Layout
from kho.client.stores.steady import ATTEMPTS, FIRST_PAUSE, LONGEST_PAUSE, steady
from kho.client.stores.store import Source
from kho.oci.hashing import new_hasher
from kho.oci.manifest import Descriptor
from kho.remote import blobs, uploads
from kho.remote.errors import NotFound, Refused, RemoteError, Unreachable
from kho.remote.file_body import FileBody
from kho.remote.registry import Registry
from kho.remote.transport import PATIENCE, SILENCE_SECONDS, same_origin
from kho.remote.uploads import Session

# No proxy that lets images pass refuses less; the first guess is below the usual 100 MB.
LEAST_CHUNK: Final = 1024 * 1024
FIRST_CHUNK: Final = 96 * 1000 * 1000
_BAD_REQUEST, _TOO_LARGE = 400, 413
# What may be better the next time: a token that ran out, an offset that moved, a busy server.
_PASSING: Final = frozenset({401, 408, 416, 429, 500, 502, 503, 504})


@dataclass
class ChunkLimit:
    """What the way to a registry lets pass at once, as learnt; None is all."""

    size: int | None = None

    def refuse(self, count: int) -> bool:
        """Learn that so many bytes were too many; False when there is no less."""
        if count <= LEAST_CHUNK:
            return False
        self.size = FIRST_CHUNK if count > 2 * FIRST_CHUNK else max(LEAST_CHUNK, count // 2)
        return True


class Upload:
    """One blob on its way; used once."""

    def __init__(
        self,
        registry: Registry,
        repository: str,
        content: Descriptor,
        source: Source,
        *,
        limit: ChunkLimit,
        entry: Entry | None,
        told: Progress,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        self._registry = registry
        self._repository = repository
        self._content = content
        self._source = source
        self._limit = limit
        self._entry = entry
        self._told = told
        self._silence = silence
        self._session: Session | None = None
        self._asked = False
        self._barren = 0
        self._furthest = 0
        self._anew = False
        self._count = 0
        self._stream: AsyncGenerator[bytes, None] | None = None
        self._rest = b""
        self._source_error: Exception | None = None
        # How long the registry wants to be left alone.
        self._told_rest: float | None = None
        self._guard: asyncio.Timeout | None = None

    async def run(self, session: Session | None) -> None:
        """Send until it is there.

        Raises what the source raises, Refused, or Unreachable after attempts that brought nothing.
        """
        self._session, self._asked = session, session is not None
        url = self._entry.read() if self._entry is not None and session is None else None
        if url is not None and await self._is_ours(url):
            self._session = Session(url, 0)
        pause = FIRST_PAUSE
        try:
            while not await self._attempt():
                if self._barren == 0 and self._told_rest is None:
                    continue
                if self._barren <= 1:  # there was progress
                    pause = FIRST_PAUSE
                rest = self._told_rest
                if rest is None:
                    rest = pause * random.uniform(0.5, 1.0)  # noqa: S311
                await asyncio.sleep(rest)
                pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            await self._drop_stream()

    async def _is_ours(self, url: str) -> bool:
        """Whether a kept address is one of this registry."""
        try:
            return same_origin(urlsplit(url), urlsplit(await self._registry.base()))
        except ValueError:
            return False

    async def _attempt(self) -> bool:
        """Go on as far as it goes; True when the blob is there."""
        try:
            session = await self._open()
            while session.size < self._content.size:
                session = await self._append(session)
            await uploads.finish(self._registry, self._repository, session, self._content.digest)
        except (Unreachable, Refused) as error:
            await self._drop_stream()
            if self._source_error is not None:
                raise self._source_error from error
            if await self._is_there(error):
                return True
            if isinstance(error, Refused) and error.status == _BAD_REQUEST:
                await self._check_source()
            self._recover(error)
            return False
        if self._entry is not None:
            self._entry.write(None)
        return True

    async def _open(self) -> Session:
        """The session, with what the registry says that it holds."""
        session = self._session
        if session is not None and not self._asked:
            session = await uploads.ask(self._registry, self._repository, session)
            if session is not None and session.size > self._content.size:
                session = None
        if session is None:
            session = await uploads.start(self._registry, self._repository)
        self._keep(session)
        self._asked = True
        self._told.move(self._content, session.size)
        return session

    def _keep(self, session: Session) -> None:
        if session.size > self._furthest:
            self._furthest, self._barren = session.size, 0
        if self._entry is not None and (self._session is None or self._session.url != session.url):
            self._entry.write(session.url)
        self._session = session

    async def _append(self, session: Session) -> Session:
        rest = self._content.size - session.size
        most = self._limit.size
        count = rest if most is None else min(rest, max(most, session.least))
        self._count = count
        try:
            async with self._guarded(), self._body(session.size, count) as body:
                found = await uploads.append(
                    self._registry,
                    self._repository,
                    session,
                    body,
                    count,
                    ranged=session.size > 0 or count < rest,
                )
        except Refused as error:
            if error.status == _TOO_LARGE and self._limit.refuse(count):
                self._told.note(f"{error}: going on in chunks of {self._limit.size} bytes")
                self._barren -= 1
            raise
        self._keep(found)
        return found

    @asynccontextmanager
    async def _body(self, start: int, count: int) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """The next `count` bytes; those of a layout nobody looks at but the registry."""
        if not isinstance(self._source, Layout) or self._told.rate is not None:
            yield self._take(start, count)
            return
        with self._source.opened(self._content) as fd:
            body = FileBody(fd, start, count, self._sent)
            self._watch(self._silence)
            try:
                yield body
            finally:
                body.close()

    def _sent(self, count: int) -> None:
        self._told.advance(self._content, count)
        self._watch(self._silence)

    async def _take(self, start: int, count: int) -> AsyncGenerator[bytes, None]:
        """The next `count` bytes of the source's stream, which goes on from chunk to chunk."""
        if self._stream is None:
            # From its middle on, the registry's own look at the digest is the only one.
            hasher = new_hasher(self._content.digest.algorithm) if start == 0 else None
            self._stream = steady(self._source, self._content, hasher, start, self._told)
        try:
            while count:
                piece = self._rest or await anext(self._stream)
                piece, self._rest = piece[:count], piece[count:]
                count -= len(piece)
                self._watch(self._silence)
                yield piece
                self._watch(None)  # the source may take its time
        except Exception as error:
            self._source_error = error  # the wire would tell it as its own
            raise

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        """Raise Unreachable when what was handed to the connection does not leave."""
        try:
            async with asyncio.timeout(None) as guard:
                self._guard = guard
                try:
                    yield
                finally:
                    self._guard = None
        except TimeoutError as error:
            where = f"{self._registry.name}/{self._repository}"
            raise Unreachable(f"upload to {where}: no bytes were taken in time") from error

    def _watch(self, seconds: float | None) -> None:
        if self._guard is not None and not self._guard.expired():
            now = asyncio.get_running_loop().time()
            self._guard.reschedule(None if seconds is None else now + seconds)

    async def _drop_stream(self) -> None:
        stream, self._stream, self._rest = self._stream, None, b""
        if stream is not None:
            await stream.aclose()

    async def _is_there(self, error: RemoteError) -> bool:
        """A finish whose answer was lost has done its work."""
        if self._session is None or self._session.size < self._content.size:
            return False
        if isinstance(error, Refused) and not isinstance(error, NotFound):
            return False
        with suppress(RemoteError):
            size = await blobs.size(self._registry, self._repository, self._content.digest)
            return size == self._content.size
        return False

    async def _check_source(self) -> None:
        """What was sent unread may be damaged where it is from; raise ContentMismatch."""
        if isinstance(self._source, Layout):
            hasher = new_hasher(self._content.digest.algorithm)
            async with aclosing(steady(self._source, self._content, hasher, 0, SILENT)) as pieces:
                async for _ in pieces:
                    pass

    def _recover(self, error: Refused | Unreachable) -> None:
        """Decide how to go on; raise the error where there is no way."""
        self._barren += 1
        self._told_rest = error.retry_after if isinstance(error, Refused) else None
        # No session was opened: there is no such repository, and asking again makes none.
        absent = isinstance(error, NotFound) and self._session is None
        impatient = (self._told_rest or 0) > PATIENCE
        if isinstance(error, Refused) and error.status == _TOO_LARGE:
            impatient = impatient or self._count <= LEAST_CHUNK
        if absent or impatient or self._barren >= ATTEMPTS:
            raise error
        self._asked = False
        if isinstance(error, Unreachable) and self._barren > 1:
            self._limit.refuse(self._count)  # some proxies hang up instead of saying 413
        if isinstance(error, NotFound):
            self._session = None
        elif isinstance(error, Refused) and error.status == _BAD_REQUEST:
            # Bytes of an earlier run that were not ours; of this run they would be wrong again.
            if self._anew or self._session is None:
                raise error
            self._anew, self._session = True, None
        elif isinstance(error, Refused) and error.status not in (*_PASSING, _TOO_LARGE):
            raise error
        self._told.note(str(error))
