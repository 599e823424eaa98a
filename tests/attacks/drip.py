"""Slow clients of three kinds: a byte a second of headers, of a body, or of what is read.

python -m tests.attacks.drip PORT COUNT DIGEST
"""

import asyncio
import socket
import sys
from contextlib import suppress

HEAD = b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX-Slow: "
BODY = b"PUT /v2/a/manifests/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
AT_ONCE = 50


async def connected(port: int, *, window: int = 0) -> socket.socket:
    """A connection, with a small window for one that does not read."""
    found = socket.socket()
    found.setblocking(False)
    if window:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    await asyncio.get_running_loop().sock_connect(found, ("127.0.0.1", port))
    return found


async def send_slowly(port: int, text: bytes) -> None:
    """`text` at once, then a byte a second."""
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        connection = await connected(port)
        await loop.sock_sendall(connection, text)
        while True:
            await asyncio.sleep(1)
            await loop.sock_sendall(connection, b"a")


async def read_slowly(port: int, digest: str) -> None:
    """A byte a second of a large answer."""
    loop = asyncio.get_running_loop()
    request = f"GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    with suppress(OSError):
        connection = await connected(port, window=4096)
        await loop.sock_sendall(connection, request)
        while True:
            await asyncio.sleep(1)
            if not await loop.sock_recv(connection, 1):
                return


async def main(port: int, count: int, digest: str) -> None:
    """All of them; they never end by themselves."""
    kinds = (
        lambda: send_slowly(port, HEAD),
        lambda: send_slowly(port, BODY),
        lambda: read_slowly(port, digest),
    )
    tasks = []
    for number in range(count):
        tasks.append(asyncio.create_task(kinds[number % 3]()))
        if number % AT_ONCE == 0:
            await asyncio.sleep(0.02)
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
