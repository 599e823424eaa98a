"""Blobs in and out on one stream."""

import hashlib
import time
from functools import partial

from bench.figures import Work
from bench.images import finish_upload, start_upload
from bench.medians import percentile
from bench.payloads import Blob
from bench.scenarios.scenario import Site, Stage, Timed
from bench.settings import BlobLoad
from bench.wire import Connection, path_of

REPOSITORY = "bench/blobs"
SEEDED = -1


def push(site: Site, load: BlobLoad, *, chunked: bool = False) -> Stage:
    """Each push is POST, PATCH of the whole body, PUT with the digest; new blobs each round."""
    payload = site.payloads.of(load.size, load.pushes)

    def stage(number: int) -> Timed:
        blobs = payload.blobs(number)
        return partial(_push_all, site, blobs, chunked)

    return stage


def pull(site: Site, load: BlobLoad) -> Stage:
    """Each pull is a GET whose bytes are counted; the digest is checked once, untimed."""
    blob = site.payloads.of(load.size, 1).blobs(SEEDED)[0]
    target = seed(site, blob)
    return lambda _number: partial(_pull_many, site, target, load.pulls, load.size)


def seed(site: Site, blob: Blob) -> str:
    """Bring one blob into the server, read it back whole, return its path."""
    target = f"/v2/{REPOSITORY}/blobs/{blob.digest}"
    state = hashlib.sha256()
    with site.server.connect() as connection:
        if site.server.peer.plain_put:
            connection.send_file("PUT", target, blob.file, blob.offset, blob.size).expect(201, 204)
        else:
            push_one(connection, blob)
        connection.count(target, state.update)
    if f"sha256:{state.hexdigest()}" != blob.digest:
        raise ValueError(f"{site.server.peer.title} gave other bytes than it was given")
    return target


def push_one(connection: Connection, blob: Blob, *, chunked: bool = False) -> None:
    """POST, PATCH of the whole body, PUT with the digest."""
    location = start_upload(connection, REPOSITORY)
    reply = connection.send_file(
        "PATCH", location, blob.file, blob.offset, blob.size, chunked=chunked
    ).expect(202)
    finish_upload(connection, path_of(reply.headers["location"]), blob.digest)


def _push_all(site: Site, blobs: tuple[Blob, ...], chunked: bool) -> Work:
    times = []
    with site.server.connect() as connection:
        for blob in blobs:
            begun = time.perf_counter()
            push_one(connection, blob, chunked=chunked)
            times.append(time.perf_counter() - begun)
    return _work(times, sum(blob.size for blob in blobs))


def _pull_many(site: Site, target: str, count: int, size: int) -> Work:
    times = []
    with site.server.connect() as connection:
        for _ in range(count):
            begun = time.perf_counter()
            connection.count(target)
            times.append(time.perf_counter() - begun)
    return _work(times, count * size)


def _work(times: list[float], size: int) -> Work:
    ordered = sorted(times)
    return Work(len(times), sum(times), size, percentile(ordered, 0.5), percentile(ordered, 0.99))
