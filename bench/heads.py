"""A loader for HEAD requests: one thread, many connections, one request under way on each.

It spends about 10 us a request; hey spends 60, which on two cores would hide the server.
"""

import json
import select
import socket
import sys
import time

from bench.medians import percentile

READ_AT_ONCE = 16 * 1024
STALL = 15.0


def load(host: str, port: int, target: str, connections: int, seconds: float) -> dict[str, object]:
    """Ask for `seconds`; counts, the time it took, and latencies in seconds."""
    request = f"HEAD {target} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    sockets = {
        opened.fileno(): opened for opened in (_open(host, port) for _ in range(connections))
    }
    poll = select.epoll()
    sent: dict[int, float] = {}
    begun = time.perf_counter()
    for number, opened in sockets.items():
        poll.register(number, select.EPOLLIN)
        opened.send(request)
        sent[number] = time.perf_counter()
    times, failed = _exchange(poll, sockets, sent, request, begun + seconds)
    elapsed = time.perf_counter() - begun
    times.sort()
    return {
        "count": len(times),
        "failed": failed,
        "seconds": elapsed,
        "p50": percentile(times, 0.5),
        "p99": percentile(times, 0.99),
    }


def _open(host: str, port: int) -> socket.socket:
    opened = socket.create_connection((host, port), timeout=STALL)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def _exchange(
    poll: select.epoll,
    sockets: dict[int, socket.socket],
    sent: dict[int, float],
    request: bytes,
    end: float,
) -> tuple[list[float], int]:
    receive = {number: opened.recv for number, opened in sockets.items()}
    send = {number: opened.send for number, opened in sockets.items()}
    times: list[float] = []
    failed, now = 0, time.perf_counter
    while (moment := now()) < end:
        ready = poll.poll(STALL)
        if not ready:
            return times, failed + len(sockets)
        for number, _ in ready:
            answer = receive[number](READ_AT_ONCE)
            moment = now()
            times.append(moment - sent[number])
            if not answer.startswith(b"HTTP/1.1 200") or not answer.endswith(b"\r\n\r\n"):
                return times, failed + 1
            sent[number] = moment
            send[number](request)
    return times, failed


if __name__ == "__main__":
    _, _host, _port, _target, _connections, _seconds = sys.argv
    print(json.dumps(load(_host, int(_port), _target, int(_connections), float(_seconds))))
