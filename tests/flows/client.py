"""A server without sockets: drives an ASGI application, and checks every answer's manners."""

import asyncio
import json
import re
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from kho.server.web.app import App
from kho.server.web.request import Audience, Message, Scope
from kho.server.web.routes import TABLE, match

Fields = Sequence[tuple[str, str]]
Body = bytes | AsyncIterable[bytes]

PATIENCE = 30.0


class Cut(Exception):
    """The application gave up: a server would close the connection."""


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def __getitem__(self, name: str) -> str:
        """The value of a header that must be there once."""
        (value,) = self.all(name)
        return value

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name.lower()]

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        """The codes of an error body."""
        return [entry["code"] for entry in self.json()["errors"]]


@dataclass
class Exchange:
    """One request under way; the test plays the client at the other end of the socket.

    With `gated` the client reads only what `allow` lets through.
    """

    scope: Scope
    gated: bool = False
    messages: list[Message] = field(default_factory=list)
    received: int = 0
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._gate = asyncio.Semaphore(0)
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, app: App) -> None:
        """Hand the request to the application."""
        self._task = asyncio.create_task(self._run(app))
        self._task.add_done_callback(lambda _: self._changed.set())

    async def _run(self, app: App) -> None:
        try:
            await app(self.scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001  what a server would do: close the connection
            self.error = error

    async def _receive(self) -> Message:
        if self._incoming.empty() and self._gone.is_set():
            return {"type": "http.disconnect"}
        getting = asyncio.create_task(self._incoming.get())
        leaving = asyncio.create_task(self._gone.wait())
        try:
            await asyncio.wait({getting, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                message = getting.result()
                self._changed.set()
                self.received += len(message["body"])
                return message
            return {"type": "http.disconnect"}
        finally:
            getting.cancel()
            leaving.cancel()

    async def _send(self, message: Message) -> None:
        self.messages.append(message)
        self._changed.set()
        if self.gated and message["type"] == "http.response.body":
            await self._gate.acquire()

    def send(self, chunk: bytes, *, more: bool = True) -> None:
        """A piece of the body arrives."""
        self._incoming.put_nowait({"type": "http.request", "body": chunk, "more_body": more})

    def disconnect(self) -> None:
        """The client closes its end, after what it has sent."""
        self._gone.set()

    def allow(self, pieces: int) -> None:
        """Let the client read that many pieces of the answer."""
        for _ in range(pieces):
            self._gate.release()

    async def taken(self) -> None:
        """Wait until the application has taken everything that was sent."""
        while not self._incoming.empty() and not self._done():
            self._changed.clear()
            await self._changed.wait()

    async def answering(self) -> None:
        """Wait until some of the answer's body came."""
        while not self.body and not self._done():
            self._changed.clear()
            await self._changed.wait()

    def _done(self) -> bool:
        return self._task is not None and self._task.done()

    async def finished(self) -> None:
        """Wait until the application is done with the request."""
        assert self._task is not None
        async with asyncio.timeout(PATIENCE):
            await asyncio.shield(self._task)

    async def cancel(self) -> None:
        """End a request that nobody waits for any more."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def body(self) -> bytes:
        """What came of the answer's body so far."""
        return b"".join(one.get("body", b"") for one in self.messages)

    @property
    def answer(self) -> Answer | None:
        """The answer when it is whole, else None."""
        if self.error is not None or not self.messages or self.messages[-1].get("more_body", True):
            return None
        start = self.messages[0]
        headers = [(key.decode("ascii"), value.decode("ascii")) for key, value in start["headers"]]
        answer = Answer(start["status"], headers, self.body)
        check_manners(self.scope, answer)
        return answer


class Client:
    """Requests to one application."""

    def __init__(self, app: App) -> None:
        self.app = app

    @asynccontextmanager
    async def exchange(
        self, method: str, target: str, headers: Fields = (), *, gated: bool = False
    ) -> AsyncIterator[Exchange]:
        """A request whose body and reading the test controls; it is over when the block ends."""
        exchange = Exchange(make_scope(method, target, headers), gated)
        exchange.start(self.app)
        try:
            yield exchange
        finally:
            await exchange.cancel()

    async def request(
        self, method: str, target: str, body: Body | None = None, headers: Fields = ()
    ) -> Answer:
        """One request, whole; raise Cut where a server would close the connection."""
        if isinstance(body, bytes):
            headers = [*headers, ("Content-Length", str(len(body)))]
        elif body is not None:
            headers = [*headers, ("Transfer-Encoding", "chunked")]
        async with self.exchange(method, target, headers) as exchange:
            if isinstance(body, AsyncIterable):
                async for chunk in body:
                    exchange.send(chunk)
                    await exchange.taken()
            exchange.send(body if isinstance(body, bytes) else b"", more=False)
            await exchange.finished()
            answer = exchange.answer
            if answer is None:
                raise Cut(exchange.body) from exchange.error
            return answer

    async def get(self, target: str, *headers: tuple[str, str]) -> Answer:
        """GET."""
        return await self.request("GET", target, headers=headers)

    async def head(self, target: str, *headers: tuple[str, str]) -> Answer:
        """HEAD, which must agree with GET in all but the body."""
        answer = await self.request("HEAD", target, headers=headers)
        full = await self.request("GET", target, headers=headers)
        assert answer.status == full.status
        assert without_id(answer) == without_id(full)
        return answer

    async def post(self, target: str, body: Body = b"", *headers: tuple[str, str]) -> Answer:
        """POST."""
        return await self.request("POST", target, body, headers)

    async def patch(self, target: str, body: Body, *headers: tuple[str, str]) -> Answer:
        """PATCH."""
        return await self.request("PATCH", target, body, headers)

    async def put(self, target: str, body: Body = b"", *headers: tuple[str, str]) -> Answer:
        """PUT."""
        return await self.request("PUT", target, body, headers)

    async def delete(self, target: str) -> Answer:
        """DELETE."""
        return await self.request("DELETE", target)


async def pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    """A body that comes in pieces, its length not announced."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


def make_scope(method: str, target: str, headers: Fields = ()) -> Scope:
    """What a server makes of the head of a request; `target` is raw, its path decoded once."""
    raw_path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode("ascii"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [(key.lower().encode(), value.encode("latin-1")) for key, value in headers],
        "client": ("192.0.2.1", 40000),
        "server": ("127.0.0.1", 5000),
    }


def without_id(answer: Answer) -> list[tuple[str, str]]:
    """The headers, but for the one that differs from request to request."""
    return [(key, value) for key, value in answer.headers if key != "x-request-id"]


def check_manners(scope: Scope, answer: Answer) -> None:
    """What holds for every answer, whatever was asked (PROTOCOL 0.4 to 0.12)."""
    head = scope["method"] == "HEAD"
    assert answer["Docker-Distribution-API-Version"] == "registry/2.0"
    assert re.fullmatch(r"[\w.-]{8,64}", answer["X-Request-ID"])
    for key, value in answer.headers:
        assert re.fullmatch(r"[a-z0-9-]+", key), key
        assert re.fullmatch(r"[\x20-\x7e]*", value), (key, value)
    assert "content-encoding" not in answer
    assert "transfer-encoding" not in answer
    if head or answer.status in {204, 304}:
        assert answer.body == b""
    else:
        made_on_the_way = answer.all("content-type") == ["text/csv; charset=utf-8"]
        assert made_on_the_way or answer["Content-Length"] == str(len(answer.body))
    if answer.status in {204, 304}:
        assert "content-length" not in answer
    if is_for_people(scope["path"]):
        check_page(answer)
        return
    if scope["path"].startswith("/api/"):
        check_program(answer, head=head)
        return
    for location in answer.all("location"):
        assert re.fullmatch(r"/v2/[^/].*", location), location
    if answer.status >= 400:
        check_error(answer, head=head)


def is_for_people(path: str) -> bool:
    """Whether a page is there, or a form goes there."""
    found = match(path)
    rows = TABLE[found[0]].values() if found else ()
    return path.startswith("/auth/") or any(one.audience is Audience.PEOPLE for one in rows)


def check_program(answer: Answer, *, head: bool) -> None:
    """The JSON API: problems are problem details (RFC 9457), nothing is sniffed or shared."""
    if answer.status in {204, 304}:
        assert answer["Cache-Control"] in {"no-store", "private, no-cache"}
        return
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "public" not in answer["Cache-Control"]
    if answer.status < 400:
        return
    assert answer["Content-Type"] == "application/problem+json"
    if answer.status == 405:
        assert answer["Allow"]
    if not head:
        body = answer.json()
        assert body["status"] == answer.status
        assert body["detail"]
        assert set(body) <= {"title", "status", "detail", "code", "instance", "errors"}


def check_page(answer: Answer) -> None:
    """A page for people runs no script, is framed by nobody and stays out of every cache."""
    if answer.all("content-type") != ["text/html; charset=utf-8"]:
        return
    assert answer["Cache-Control"] == "no-store"
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    ours = rb'<script src="/-/static/[0-9a-f]{12}/[a-z.]+\.js" defer></script>'
    assert b"<script" not in re.sub(ours, b"", answer.body).lower()
    assert not re.search(rb"<[^>]*\s(on[a-z]+|style)\s*=", answer.body)


def check_error(answer: Answer, *, head: bool) -> None:
    """An error tells its code in JSON, and nothing else; never HTML."""
    assert answer["Content-Type"] == "application/json"
    if answer.status == 405:
        assert answer["Allow"]
    if head:
        return
    assert answer.body.isascii()
    assert b"<html" not in answer.body.lower()
    body = answer.json()
    assert list(body) in (["errors"], ["error", "error_description", "errors"])  # OAuth's, too
    assert body["errors"]
    for entry in body["errors"]:
        assert set(entry) == {"code", "message", "detail"}
        assert re.fullmatch("[A-Z_]+", entry["code"])
