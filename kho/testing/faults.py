"""Faults around the production application, by number of requests, path and method.

request ─► answer(429)?  answered here, the registry never sees it
─► slow?         pieces of the bodies, in and out, come so slowly
─► the registry ─► wrong_digest? one byte of the body is another
└► cut_body?     the connection ends after so many bytes
"""

import asyncio
import fnmatch
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

_SLICE_SECONDS: Final = 0.05
_LEAST_SLICE: Final = 512
ALWAYS: Final = -1


class Cut(Exception):
    """Leaves the application on purpose: the server then closes the connection."""


@dataclass
class Fault:
    """One kind of fault for the requests that it is about; `times` are left, ALWAYS is no end."""

    kind: str
    path: str
    method: str | None
    times: int
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    after: int = 0
    bytes_per_second: float = 0.0
    # Requests that it has struck.
    hits: int = 0


class Faults:
    """The faults that hold now; each is about paths by a glob (`*` is anything)."""

    def __init__(self) -> None:
        self._held: list[Fault] = []
        self._lock = threading.Lock()
        self._suspended = 0

    def answer(
        self,
        status: int,
        *,
        times: int = 1,
        path: str = "*",
        method: str | None = None,
        retry_after: int | None = None,
    ) -> Fault:
        """Answer with an error in the place of the registry: 429, 503, 401, 413, ..."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return self._hold(Fault("answer", path, method, times, status=status, headers=headers))

    def limit_body(self, size: int, *, path: str = "*") -> Fault:
        """Answer 413 to requests with longer bodies, as proxies do (client_max_body_size)."""
        return self._hold(Fault("limit", path, None, ALWAYS, status=413, after=size))

    def cut_body(self, *, after: int, times: int = 1, path: str = "*/blobs/sha*") -> Fault:
        """End the connection when so many bytes of an answer's body have gone out."""
        return self._hold(Fault("cut", path, "GET", times, after=after))

    def wrong_digest(self, *, times: int = 1, path: str = "*/blobs/sha*") -> Fault:
        """Send a body that is one byte different, in the right length."""
        return self._hold(Fault("wrong", path, "GET", times))

    def slow(
        self, bytes_per_second: float, *, times: int = ALWAYS, path: str = "*/blobs/*"
    ) -> Fault:
        """Let bodies flow slowly, up and down; each request on its own."""
        return self._hold(Fault("slow", path, None, times, bytes_per_second=bytes_per_second))

    def clear(self) -> None:
        """No faults from now on."""
        with self._lock:
            self._held.clear()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """No faults within the block."""
        with self._lock:
            self._suspended += 1
        try:
            yield
        finally:
            with self._lock:
                self._suspended -= 1

    def _hold(self, fault: Fault) -> Fault:
        with self._lock:
            self._held.append(fault)
        return fault

    def take(self, kind: str, method: str, path: str, size: int = 0) -> Fault | None:
        """The first fault of a kind for a request with `size` bytes, which counts as struck."""
        with self._lock:
            for fault in [] if self._suspended else self._held:
                if (
                    fault.kind == kind
                    and fault.times
                    and fault.method in (None, method)
                    and (kind != "limit" or size > fault.after)
                    and fnmatch.fnmatchcase(path, fault.path)
                ):
                    fault.times -= fault.times > 0
                    fault.hits += 1
                    return fault
        return None


class Faulty:
    """An ASGI application with faults around it."""

    def __init__(self, app: App, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:  # noqa: ANN401
        """Serve one request, or what a fault makes of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        about = scope["method"], scope["path"]
        answer = self._faults.take("limit", *about, _length(scope))
        answer = answer or self._faults.take("answer", *about)
        if answer is not None:
            await _refuse(answer, send)
            return
        slow = self._faults.take("slow", *about)
        if slow is not None:
            receive, send = _slow_in(receive, slow), _slow_out(send, slow)
        wrong, cut = self._faults.take("wrong", *about), self._faults.take("cut", *about)
        if wrong is not None:
            send = _other_byte(send)
        if cut is not None:
            send = _cut(send, cut.after)
        await self._app(scope, receive, send)


def _length(scope: Message) -> int:
    told = next((value for key, value in scope["headers"] if key == b"content-length"), b"0")
    return int(told)


async def _refuse(fault: Fault, send: Send) -> None:
    text = f'{{"errors":[{{"code":"FAULT","message":"a fault of the test: {fault.status}"}}]}}'
    headers = {"Content-Type": "application/json", "Content-Length": str(len(text))}
    named = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
    named += [(key.lower().encode(), value.encode()) for key, value in fault.headers.items()]
    # What the client still sends is not read: the connection cannot be used again.
    named.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": fault.status, "headers": named})
    await send({"type": "http.response.body", "body": text.encode()})


def _slow_in(receive: Receive, fault: Fault) -> Receive:
    async def slowly() -> Message:
        message = await receive()
        await asyncio.sleep(len(message.get("body", b"")) / fault.bytes_per_second)
        return message

    return slowly


def _slow_out(send: Send, fault: Fault) -> Send:
    size = max(_LEAST_SLICE, int(fault.bytes_per_second * _SLICE_SECONDS))

    async def slowly(message: Message) -> None:
        body = message.get("body", b"")
        for start in range(0, len(body), size):
            part, rest = body[start : start + size], start + size < len(body)
            await asyncio.sleep(len(part) / fault.bytes_per_second)
            more = rest or message.get("more_body", False)
            await send({"type": "http.response.body", "body": part, "more_body": more})
        if not body:
            await send(message)

    return slowly


def _other_byte(send: Send) -> Send:
    done = False

    async def changed(message: Message) -> None:
        nonlocal done
        body = message.get("body", b"")
        if body and not done:
            done = True
            message = {**message, "body": bytes((body[0] ^ 1,)) + bytes(body[1:])}
        await send(message)

    return changed


def _cut(send: Send, after: int) -> Send:
    left = after

    async def until(message: Message) -> None:
        nonlocal left
        body = message.get("body", b"")
        if message["type"] == "http.response.body" and len(body) >= left:
            await send({"type": "http.response.body", "body": body[:left], "more_body": True})
            raise Cut(f"after {after} bytes")
        left -= len(body)
        await send(message)

    return until
