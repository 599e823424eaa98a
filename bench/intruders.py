"""Bad logins: all connections try a wrong password at once, and each again about a second later.

Half of them ask `/token`, half `/v2/`; a third name the user that exists, the others one each.
"""

import json
import random
import select
import socket
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass

from bench.credentials import USER, basic

READ_AT_ONCE = 16 * 1024
# Seconds from an answer to the next try: far enough apart that the tries are spread after a while.
PAUSES = (0.5, 1.5)
POLL = 0.05


@dataclass(slots=True)
class Intruder:
    """One connection: what it asks, and when it asks again."""

    request: bytes
    opened: socket.socket
    due: float = 0.0
    waits: bool = False


def intrude(host: str, port: int, count: int, seconds: float, source: str) -> dict[str, int]:
    """Keep trying for so long, from one address; how many answers there were of each status."""
    with ExitStack() as stack:
        intruders = {}
        for number in range(count):
            opened = stack.enter_context(_opened(host, port, source))
            intruders[opened.fileno()] = Intruder(_request(host, port, number), opened)
        poll = stack.enter_context(select.epoll())
        for number in intruders:
            poll.register(number, select.EPOLLIN)
        answers = _exchange(poll, intruders, time.monotonic() + seconds)
    answers["unanswered"] = sum(one.waits for one in intruders.values())
    return dict(answers)


def _opened(host: str, port: int, source: str) -> socket.socket:
    return socket.create_connection((host, port), source_address=(source, 0))


def _exchange(poll: select.epoll, intruders: dict[int, Intruder], end: float) -> Counter[str]:
    answers: Counter[str] = Counter()
    while (now := time.monotonic()) < end:
        for one in intruders.values():
            if not one.waits and one.due <= now:
                one.opened.send(one.request)
                one.waits = True
        for number, _ in poll.poll(POLL):
            one = intruders[number]
            answers[_status(one.opened)] += 1
            one.waits, one.due = False, time.monotonic() + random.uniform(*PAUSES)
    return answers


def _request(host: str, port: int, number: int) -> bytes:
    name = USER if number % 3 == 0 else f"nobody-{number}"
    target = "/v2/" if number % 2 else "/token?service=kho"
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: {host}:{port}",
        f"Authorization: {basic(name, f'guess-{number}')}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _status(opened: socket.socket) -> str:
    answer = opened.recv(READ_AT_ONCE)
    if not answer:
        raise ConnectionError("the server closed a connection that it should keep")
    return answer.split(b" ", 2)[1].decode()


if __name__ == "__main__":
    _, _host, _port, _count, _seconds, _source = sys.argv
    print(json.dumps(intrude(_host, int(_port), int(_count), float(_seconds), _source)))
