"""Many large bodies at once, and parts of one: what they cost, and what memory they take."""

import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from bench.figures import Work
from bench.medians import percentile
from bench.payloads import Blob
from bench.scenarios.scenario import Site, Stage, Timed
from bench.scenarios.transfers import SEEDED, push_one, seed
from bench.settings import MIB
from bench.wire import Connection

REST_SECONDS = 0.5


def push_together(site: Site) -> Stage:
    """Each client pushes a blob of its own, all at the same time."""
    clients = site.settings.stream_clients
    payload = site.payloads.overlapping(site.settings.streams.size, clients)

    def stage(number: int) -> Timed:
        blobs = payload.blobs(number)
        _rested(site)
        return partial(_together, site, [partial(push_one, blob=blob) for blob in blobs])

    return stage


def pull_together(site: Site) -> Stage:
    """All clients pull the same blob at the same time."""
    blob = site.payloads.of(site.settings.streams.size, 1).blobs(SEEDED)[0]
    target = seed(site, blob)

    def stage(_number: int) -> Timed:
        _rested(site)
        return partial(_together, site, [partial(_pull, target)] * site.settings.stream_clients)

    return stage


def ranges(site: Site) -> Stage:
    """Parts of a large blob, one after the other on one connection; each is checked once."""
    load = site.settings.spans
    blob = site.payloads.of(load.size * load.count, 1).blobs(SEEDED)[0]
    target = seed(site, blob)
    spans = [(index * load.size, (index + 1) * load.size) for index in range(load.count)]
    with site.server.connect() as connection:
        for span in spans:
            _check(connection, target, blob, span)
    return lambda _number: partial(_read_spans, site, target, spans)


def _rested(site: Site) -> None:
    """Started afresh, so that what it held on to after the round before does not count as idle."""
    site.server.stop()
    site.server.start()
    time.sleep(REST_SECONDS)


def _pull(target: str, connection: Connection) -> None:
    connection.count(target)


def _together(site: Site, errands: list[Callable[[Connection], None]]) -> Work:
    """One thread for each: they wait in the kernel nearly all of the time."""

    def run(errand: Callable[[Connection], None]) -> float:
        begun = time.perf_counter()
        with site.server.connect() as connection:
            errand(connection)
        return time.perf_counter() - begun

    begun = time.perf_counter()
    with ThreadPoolExecutor(len(errands)) as pool:
        times = sorted(pool.map(run, errands))
    seconds = time.perf_counter() - begun
    size = len(errands) * site.settings.streams.size
    return Work(len(times), seconds, size, percentile(times, 0.5), percentile(times, 0.99))


def _check(connection: Connection, target: str, blob: Blob, span: tuple[int, int]) -> None:
    came, sent = hashlib.sha256(), hashlib.sha256()
    connection.count(target, came.update, span)
    for offset in range(*span, MIB):
        sent.update(os.pread(blob.file, min(MIB, span[1] - offset), blob.offset + offset))
    if came.digest() != sent.digest():
        raise ValueError(f"bytes {span[0]} to {span[1]} are other ones than were pushed")


def _read_spans(site: Site, target: str, spans: list[tuple[int, int]]) -> Work:
    times = []
    with site.server.connect() as connection:
        for span in spans:
            begun = time.perf_counter()
            connection.count(target, span=span)
            times.append(time.perf_counter() - begun)
    size = sum(stop - start for start, stop in spans)
    return Work(len(times), sum(times), size, percentile(sorted(times), 0.5))
