"""What zot's own benchmark, `zb`, does, with random bytes: whole images of one layer.

A request is all that one push or one pull needs.
"""

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from bench.crew import Crew, Errand
from bench.images import (
    MANIFEST_TYPE,
    SmallImage,
    config_and_manifest,
    digest_of,
    finish_upload,
    push_bytes,
    push_image,
    put_manifest,
    start_upload,
)
from bench.loaders import drive_wrk
from bench.payloads import Blob
from bench.scenarios.scenario import Site, Stage, Timed
from bench.wire import Connection, path_of

TAG = "1"
SEEDED = -1
ACCEPT = {"Accept": MANIFEST_TYPE}


@dataclass(frozen=True, slots=True)
class Plan:
    """How many layers of which size are pushed, and how many pulled, in one timed run."""

    pushes: Mapping[int, int] = field(default_factory=dict)
    pulls: Mapping[int, int] = field(default_factory=dict)
    chunked: bool = False


def mixed(site: Site, plan: Plan) -> Stage:
    """Pushes and pulls in an order that is the same for every server."""
    seeded = {size: _seed(site, size) for size in plan.pulls}
    amounts = [*plan.pushes.items(), *plan.pulls.items()]
    moved = sum(size * count for size, count in amounts)

    def stage(number: int) -> Timed:
        errands: list[Errand] = [*_pushes(site, plan, number)]
        for size, count in plan.pulls.items():
            errands += [partial(_pull, repository=seeded[size])] * count
        random.Random(number).shuffle(errands)
        return Crew(site.server, _dealt(errands, site.settings.zb.clients), moved)

    return stage


def catalog(site: Site) -> Stage:
    """GET of the list of repositories."""
    load = site.settings.zb
    names = [f"bench/zb{number:04d}" for number in range(load.repositories)]
    with site.server.connect() as connection:
        for name in names:
            push_image(connection, name, TAG, SmallImage.random())
        reply = connection.request("GET", "/v2/_catalog").expect(200)
    if (found := len(json.loads(reply.body)["repositories"])) != len(names):
        raise ValueError(f"{found} repositories in the list, {len(names)} were pushed")
    url = f"{site.server.address.url}/v2/_catalog"
    seconds = site.settings.rate_seconds
    return lambda _number: partial(drive_wrk, url, load.clients, seconds, {})


def _dealt(errands: Sequence[Errand], clients: int) -> list[Sequence[Errand]]:
    return [errands[client::clients] for client in range(clients)]


def _pushes(site: Site, plan: Plan, number: int) -> list[Errand]:
    return [
        partial(_push, blob=blob, repository=f"bench/r{number}s{size}i{index}", plan=plan)
        for size, count in plan.pushes.items()
        for index, blob in enumerate(site.payloads.of(size, count).blobs(number))
    ]


def _seed(site: Site, size: int) -> str:
    """Bring one image into the server, read its layer back, return its repository."""
    (blob,) = site.payloads.of(size, 1).blobs(SEEDED)
    repository, state = f"bench/seed{size}", hashlib.sha256()
    with site.server.connect() as connection:
        _push(connection, blob, repository, Plan())
        connection.count(f"/v2/{repository}/blobs/{blob.digest}", state.update)
    if f"sha256:{state.hexdigest()}" != blob.digest:
        raise ValueError(f"{site.server.peer.title} gave other bytes than it was given")
    return repository


def _push(connection: Connection, blob: Blob, repository: str, plan: Plan) -> None:
    config, manifest = config_and_manifest(blob.digest, blob.size)
    location = start_upload(connection, repository)
    span = blob.file, blob.offset, blob.size
    if plan.chunked:
        reply = connection.send_file("PATCH", location, *span).expect(202)
        finish_upload(connection, path_of(reply.headers["location"]), blob.digest)
        push_bytes(connection, repository, config)
    else:
        connection.send_file("PUT", _closing(location, blob.digest), *span).expect(201)
        _push_whole(connection, repository, config)
    put_manifest(connection, repository, TAG, manifest)


def _push_whole(connection: Connection, repository: str, data: bytes) -> None:
    target = _closing(start_upload(connection, repository), digest_of(data))
    stream = {"Content-Type": "application/octet-stream"}
    connection.request("PUT", target, stream, data).expect(201)


def _closing(location: str, digest: str) -> str:
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


def _pull(connection: Connection, repository: str) -> None:
    """Everything is asked about before it is asked for."""
    at = f"/v2/{repository}"
    connection.request("HEAD", f"{at}/manifests/{TAG}", ACCEPT).expect(200)
    reply = connection.request("GET", f"{at}/manifests/{TAG}", ACCEPT).expect(200)
    manifest = json.loads(reply.body)
    config, (layer,) = manifest["config"], manifest["layers"]
    connection.request("HEAD", f"{at}/blobs/{config['digest']}").expect(200)
    connection.request("GET", f"{at}/blobs/{config['digest']}").expect(200)
    connection.request("HEAD", f"{at}/blobs/{layer['digest']}").expect(200)
    connection.count(f"{at}/blobs/{layer['digest']}")
