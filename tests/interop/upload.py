"""An upload by hand: a connection whose worker is known, and that can be left in mid-PATCH."""

import http.client
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from .processes import descendants
from .servers import Server


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and headers of an answer, and its text."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def location(self) -> str:
        """Path and query of the Location, as the next request names it."""
        parts = urlsplit(self.headers["Location"])
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @property
    def offset(self) -> int:
        """How many bytes the server holds, by its Range header."""
        told = re.fullmatch(r"0-(\d+)", self.headers["Range"])
        assert told, self.headers["Range"]
        return int(told[1]) + 1


def call(
    server: Server,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] = b"",
    headers: dict[str, str] | None = None,
) -> Reply:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read().decode(errors="replace"))
    finally:
        connection.close()


def opened(server: Server, repository: str) -> str:
    """Open an upload; returns its location."""
    reply = call(server, "POST", f"/v2/{repository}/blobs/uploads/")
    assert reply.status == 202, reply.text
    return reply.location


def append(server: Server, location: str, start: int, body: bytes) -> Reply:
    """A whole PATCH of the bytes that belong at `start`."""
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Range": f"{start}-{start + len(body) - 1}",
    }
    return call(server, "PATCH", location, body, headers)


def finish(server: Server, location: str, digest: str) -> Reply:
    """The PUT that commits."""
    joint = "&" if "?" in location else "?"
    return call(server, "PUT", location + joint + urlencode({"digest": digest}))


def left_in_mid_patch(
    server: Server, location: str, start: int, body: bytes, promised: int
) -> socket.socket:
    """Promise more bytes than are sent, and keep the connection open."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    head = (
        f"PATCH {location} HTTP/1.1\r\nHost: {server.host}\r\n"
        "Content-Type: application/octet-stream\r\n"
        f"Content-Length: {promised}\r\nContent-Range: {start}-{start + promised - 1}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


def worker_of(server: Server, connection: socket.socket) -> int | None:
    """The process of the server that holds the other end of a connection."""
    inode = _inode_of_peer(connection)
    for pid in (server.pid, *descendants(server.pid)):
        if inode and inode in _socket_inodes(pid):
            return pid
    return None


def _inode_of_peer(connection: socket.socket) -> str | None:
    here, there = connection.getsockname()[1], connection.getpeername()[1]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(address.partition(":")[2], 16) for address in fields[1:3])
        if (local, remote) == (there, here):
            return fields[9]
    return None


def _socket_inodes(pid: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            found.add(target[len("socket:[") : -1])
    return found
