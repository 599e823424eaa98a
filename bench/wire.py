"""A lean HTTP/1.1 client on one blocking socket: the load generator must cost next to nothing."""

import os
import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

TIMEOUT = 120.0
HEAD_LIMIT = 64 * 1024
# The size in which docker's client writes the chunks of a layer.
CHUNK = 32 * 1024
# TCP drops what it has received without copying it when it is read with MSG_TRUNC.
DROP = socket.MSG_TRUNC
DROP_AT_ONCE = 1024 * 1024
TLS_AT_ONCE = 256 * 1024

_scratch = bytearray(DROP_AT_ONCE)


class WireError(RuntimeError):
    """The server closed, stalled, or answered other than the protocol says."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens; `ca` is the file of its certificate where it speaks TLS."""

    host: str
    port: int
    ca: str = ""

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self.ca else 'http'}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers with lower-case names, and the body (empty when it was only counted)."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def expect(self, *statuses: int) -> Self:
        """Itself, or WireError when the status is none of these."""
        if self.status not in statuses:
            raise WireError(f"status {self.status} in place of {statuses}: {self.body[:300]!r}")
        return self


class Connection:
    """One keep-alive connection, opened by the first request and again when it was closed.

    `headers` go with every request.
    """

    def __init__(self, address: Address, headers: Mapping[str, str] | None = None) -> None:
        self._address, self._headers = address, dict(headers or {})
        self._socket: socket.socket | None = None
        self._ahead = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection and what was read ahead."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._ahead = None, b""

    def request(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        """Send a request with a small body and read the whole reply."""
        lines = dict(headers or {})
        if body or method in ("POST", "PUT", "PATCH"):
            lines["Content-Length"] = str(len(body))
        self._send(self._head(method, target, lines) + body)
        return self._read_reply(bodiless=method == "HEAD")

    def send_file(
        self, method: str, target: str, file: int, offset: int, size: int, *, chunked: bool = False
    ) -> Reply:
        """Send `size` bytes of an open file as the body; they do not pass through this process."""
        length = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(size)}
        headers = {"Content-Type": "application/octet-stream", **length}
        self._send(self._head(method, target, headers), more=size > 0)
        if chunked:
            self._send_chunks(file, offset, size)
        else:
            self._send_span(file, offset, size)
        return self._read_reply()

    def count(
        self,
        target: str,
        sink: Callable[[memoryview], None] | None = None,
        span: tuple[int, int] | None = None,
    ) -> int:
        """GET, return how many bytes of the body came; WireError when it was cut short.

        `span` asks for the bytes from the first place to before the second. Without a sink the
        bytes are dropped in the kernel.
        """
        headers = {"Range": f"bytes={span[0]}-{span[1] - 1}"} if span else {}
        self._send(self._head("GET", target, headers))
        reply = self._read_head()
        size = int(reply.headers.get("content-length", -1))
        if reply.status != (206 if span else 200) or size < 0:
            self.close()
            raise WireError(f"GET {target}: status {reply.status}, length {size}")
        left = size - len(self._ahead)
        if sink:
            sink(memoryview(self._ahead))
        self._ahead = b""
        view = memoryview(_scratch)
        while left > 0:
            got = self._receive(view[:left], drop=sink is None)
            if got == 0:
                raise WireError(f"GET {target}: {left} of {size} bytes are missing")
            if sink:
                sink(view[:got])
            left -= got
        self._close_if_asked(reply)
        return size

    def _connected(self) -> socket.socket:
        if self._socket is None:
            opened = socket.create_connection(
                (self._address.host, self._address.port), timeout=TIMEOUT
            )
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Blocking calls with the limit in the kernel: one system call, no poll before it.
            opened.setblocking(True)
            limit = struct.pack("ll", int(TIMEOUT), 0)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            self._socket = self._secured(opened)
        return self._socket

    def _secured(self, opened: socket.socket) -> socket.socket:
        return opened

    def _receive(self, view: memoryview, *, drop: bool) -> int:
        flags = DROP if drop else 0
        return self._connected().recv_into(view, len(view), flags | socket.MSG_WAITALL)

    def _head(self, method: str, target: str, headers: Mapping[str, str]) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._address.host}:{self._address.port}"]
        lines += [f"{name}: {value}" for name, value in {**self._headers, **headers}.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def _send(self, data: bytes, *, more: bool = False) -> None:
        self._connected().sendall(data, socket.MSG_MORE if more else 0)

    def _send_span(self, file: int, offset: int, size: int) -> None:
        out = self._connected().fileno()
        while size > 0:
            sent = os.sendfile(out, file, offset, size)
            if sent == 0:
                raise WireError("the payload file is shorter than it should be")
            offset, size = offset + sent, size - sent

    def _send_chunks(self, file: int, offset: int, size: int) -> None:
        while size > 0:
            part = min(size, CHUNK)
            self._send(b"%x\r\n" % part, more=True)
            self._send_span(file, offset, part)
            offset, size = offset + part, size - part
            self._send(b"\r\n", more=True)
        self._send(b"0\r\n\r\n")

    def _read_reply(self, *, bodiless: bool = False) -> Reply:
        reply = self._read_head()
        body = b""
        if not bodiless and reply.status not in (204, 304):
            if reply.headers.get("transfer-encoding", "") == "chunked":
                body = self._read_chunks()
            else:
                body = self._read_exactly(int(reply.headers.get("content-length", 0)))
        self._close_if_asked(reply)
        return Reply(reply.status, reply.headers, body)

    def _close_if_asked(self, reply: Reply) -> None:
        if reply.headers.get("connection", "").lower() == "close":
            self.close()

    def _read_head(self) -> Reply:
        head = self._read_until(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return Reply(
            int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}
        )

    def _read_until(self, mark: bytes) -> bytes:
        while mark not in self._ahead:
            if len(self._ahead) > HEAD_LIMIT:
                raise WireError("a header without end")
            self._more()
        found, _, self._ahead = self._ahead.partition(mark)
        return found

    def _read_exactly(self, size: int) -> bytes:
        while len(self._ahead) < size:
            self._more()
        body, self._ahead = self._ahead[:size], self._ahead[size:]
        return body

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self._read_until(b"\r\n").split(b";")[0], 16):
            body += self._read_exactly(size)
            self._read_until(b"\r\n")
        self._read_until(b"\r\n")
        return body

    def _more(self) -> None:
        try:
            data = self._connected().recv(HEAD_LIMIT)
        except BlockingIOError:
            raise WireError(f"no answer within {TIMEOUT:.0f} s") from None
        if not data:
            self.close()
            raise WireError("the server closed the connection in place of an answer")
        self._ahead += data


class TlsConnection(Connection):
    """The same over TLS, where each byte passes through this process to be encrypted."""

    def _secured(self, opened: socket.socket) -> socket.socket:
        context = ssl.create_default_context(cafile=self._address.ca)
        return context.wrap_socket(opened, server_hostname=self._address.host)

    def _receive(self, view: memoryview, *, drop: bool) -> int:  # noqa: ARG002
        return self._connected().recv_into(view)

    def _send(self, data: bytes, *, more: bool = False) -> None:  # noqa: ARG002
        self._connected().sendall(data)

    def _send_span(self, file: int, offset: int, size: int) -> None:
        while size > 0:
            data = os.pread(file, min(size, TLS_AT_ONCE), offset)
            if not data:
                raise WireError("the payload file is shorter than it should be")
            self._send(data)
            offset, size = offset + len(data), size - len(data)


def path_of(location: str) -> str:
    """Path and query of a Location header, absolute or not."""
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
