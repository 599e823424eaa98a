"""Clients that work side by side, each a process of its own with one connection."""

import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkProcess

from bench.figures import Work
from bench.medians import percentile
from bench.server import Server
from bench.wire import Connection

LIMIT = 300.0
# Threads would wait for each other in the interpreter.
FORK = get_context("fork")

Errand = Callable[[Connection], object]


class ClientError(RuntimeError):
    """A client could not do its errands."""


class Crew:
    """Clients that wait for the word to go, then do their errands one after another."""

    def __init__(self, server: Server, errands: Sequence[Sequence[Errand]], size: int = 0) -> None:
        self._clients = [_Client(server, each) for each in errands]
        self._size = size

    def __call__(self) -> Work:
        """Let all of them go; `size` bytes are moved by all errands together."""
        begun = time.perf_counter()
        for client in self._clients:
            client.go()
        times = sorted(time for client in self._clients for time in client.latencies())
        seconds = time.perf_counter() - begun
        p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
        return Work(len(times), seconds, self._size, p50, p99)


class _Client:
    def __init__(self, server: Server, errands: Sequence[Errand]) -> None:
        self._pipe, theirs = FORK.Pipe()
        self._process: ForkProcess = FORK.Process(
            target=_work, args=(server, errands, theirs), daemon=True
        )
        self._process.start()
        theirs.close()

    def go(self) -> None:
        self._pipe.send("go")

    def latencies(self) -> list[float]:
        """Seconds of each errand; ClientError when the client failed or did not end in time."""
        times, failure = self._answer()
        if failure:
            self._process.kill()
        self._process.join(timeout=10)
        if failure:
            raise ClientError(failure)
        return times

    def _answer(self) -> tuple[list[float], str]:
        if not self._pipe.poll(LIMIT):
            return [], "no answer in time"
        try:
            times, failure = self._pipe.recv()
        except EOFError:
            return [], "it ended without an answer"
        return list(times), str(failure)


def _work(server: Server, errands: Sequence[Errand], pipe: Pipe) -> None:
    pipe.recv()
    times = []
    try:
        with server.connect() as connection:
            for errand in errands:
                begun = time.perf_counter()
                errand(connection)
                times.append(time.perf_counter() - begun)
    except Exception as failure:  # noqa: BLE001 - told to the parent, which raises it
        pipe.send(([], f"{type(failure).__name__}: {failure}"))
        return
    pipe.send((times, ""))
