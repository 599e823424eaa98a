"""Small whole images, pushed by several clients at once."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkProcess

from bench.figures import Work
from bench.images import SmallImage, push_image
from bench.medians import percentile
from bench.scenarios.scenario import Site, Stage, Timed
from bench.wire import Address, Connection

LIMIT = 300.0
# Each client is a process of its own: threads would wait for each other in the interpreter.
FORK = get_context("fork")


class ClientError(RuntimeError):
    """A client could not push its images."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One image that a client has to push."""

    repository: str
    tag: str
    image: SmallImage


def distinct(site: Site) -> Stage:
    """Every image into a repository of its own."""
    return _stage(site, lambda number, client, index: f"bench/r{number}c{client}i{index}")


def shared(site: Site) -> Stage:
    """All images of all clients into one repository, each under a tag of its own."""
    return _stage(site, lambda _number, _client, _index: "bench/shared")


def _stage(site: Site, repository: Callable[[int, int, int], str]) -> Stage:
    def stage(number: int) -> Timed:
        clients = [
            _Client(site.server.address, _errands(site, number, client, repository))
            for client in range(site.settings.image_clients)
        ]
        return partial(_push_together, clients)

    return stage


def _errands(
    site: Site, number: int, client: int, repository: Callable[[int, int, int], str]
) -> list[Errand]:
    return [
        Errand(
            repository(number, client, index), f"r{number}c{client}i{index}", SmallImage.random()
        )
        for index in range(site.settings.images_per_client)
    ]


class _Client:
    """A process that waits for the word to go, then pushes its images one after another."""

    def __init__(self, address: Address, errands: list[Errand]) -> None:
        self._pipe, theirs = FORK.Pipe()
        self._process: ForkProcess = FORK.Process(
            target=_push_errands, args=(address, errands, theirs), daemon=True
        )
        self._process.start()
        theirs.close()

    def go(self) -> None:
        self._pipe.send("go")

    def latencies(self) -> list[float]:
        """Seconds of each push; ClientError when the client failed or did not end in time."""
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


def _push_errands(address: Address, errands: list[Errand], pipe: Pipe) -> None:
    pipe.recv()
    times = []
    try:
        with Connection(address) as connection:
            for errand in errands:
                begun = time.perf_counter()
                push_image(connection, errand.repository, errand.tag, errand.image)
                times.append(time.perf_counter() - begun)
    except Exception as failure:  # noqa: BLE001 - told to the parent, which raises it
        pipe.send(([], f"{type(failure).__name__}: {failure}"))
        return
    pipe.send((times, ""))


def _push_together(clients: list[_Client]) -> Work:
    begun = time.perf_counter()
    for client in clients:
        client.go()
    times = sorted(time for client in clients for time in client.latencies())
    seconds = time.perf_counter() - begun
    return Work(len(times), seconds, 0, percentile(times, 0.5), percentile(times, 0.99))
