"""What each client pulls and pushes counts once, for the repository and for the tag."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kho.server.index.traffic import INTERVAL

from .engines import Engines
from .guarded import Guarded
from .processes import unmount_below
from .servers import KIND, Server, serving
from .signing_in import CLIENTS, Client, Containerd, Docker
from .small_images import SmallImage, TwoPlatforms

NAMES = ("docker", "podman", "skopeo", "crane", "containerd")
_COUNTED = """
    SELECT repositories.pulls, repositories.pulled_at, tags.pulls, tags.pulled_at
    FROM repositories JOIN tags ON tags.repository_id = repositories.id AND tags.name = '1'
    WHERE repositories.name = ?
"""
_BY_DAY = """
    SELECT tag, sum(traffic.pulls), sum(pushes)
    FROM traffic JOIN repositories ON repositories.id = repository_id
    WHERE repositories.name = ? GROUP BY tag
"""


@dataclass(frozen=True)
class Counted:
    """The rows of a server that has ended; clients that are missing, and why."""

    database: Path
    missing: dict[str, str]

    def rows(self, statement: str, repository: str) -> list[tuple[Any, ...]]:
        """What a statement finds of a repository."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(statement, (repository,)).fetchall()


def _seed(door: Guarded, repository: str, layout: Path) -> None:
    """The image or index of a layout under the tag 1, without any client."""
    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    manifests = {entry["digest"]: ("1", entry["mediaType"])}
    top = json.loads((layout / "blobs" / entry["digest"].replace(":", "/")).read_bytes())
    listed = top.get("manifests", ())
    children = {one["digest"]: (one["digest"], one["mediaType"]) for one in listed}
    for blob in (layout / "blobs/sha256").iterdir():
        path = f"/v2/{repository}/blobs/uploads/?digest=sha256:{blob.name}"
        assert door.ask("POST", path, body=blob.read_bytes()).status == 201
    for digest, (reference, kind) in (children | manifests).items():
        body = (layout / "blobs" / digest.replace(":", "/")).read_bytes()
        path = f"/v2/{repository}/manifests/{reference}"
        assert door.ask("PUT", path, body=body, kind=kind).status == 201


def _client(name: str, home: Path, door: Guarded, engines: Engines) -> Client:
    client = CLIENTS[name](home / name, door)
    if isinstance(client, Docker):
        client.engine = engines.docker(door)
    elif isinstance(client, Containerd):
        client.engine = engines.containerd()
    return client


def _use(client: Client, name: str, image: SmallImage) -> None:
    """Pull an image and an index, and push an image."""
    client.pull(f"single/{name}").must_succeed()
    client.pull(f"both/{name}").must_succeed()
    client.push(image, f"pushed/{name}").must_succeed()


@pytest.fixture(scope="module")
def counted(
    tmp_path_factory: pytest.TempPathFactory,
    scratch: Path,
    engines: Engines,
    image: SmallImage,
    both: TwoPlatforms,
) -> Iterator[Counted]:
    """One server for all clients: what is counted is written once in ten seconds, and at the end.

    Whether a child was pulled by itself is decided one flush after the workers have told of tags.
    """
    if KIND != "khod":
        pytest.skip("it does not count")
    missing = {}
    home = tmp_path_factory.mktemp("counting")
    with serving(home) as server:
        door = Guarded(server)
        for name in NAMES:
            _seed(door, f"single/{name}", image.layout)
            _seed(door, f"both/{name}", both.layout)
            try:
                client = _client(name, scratch, door, engines)
                _use(client, name, image)
            except pytest.skip.Exception as told:
                missing[name] = str(told)
        time.sleep(INTERVAL + 1)
    yield Counted(_database(server), missing)
    unmount_below(scratch)


def _database(server: Server) -> Path:
    (found,) = server.data.glob("*.db")
    return found


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest, counted: Counted) -> str:
    """One of the clients."""
    if request.param in counted.missing:
        pytest.skip(counted.missing[request.param])
    return str(request.param)


@pytest.mark.parametrize("what", ["single", "both"])
def test_a_pull_by_tag_counts_once(name: str, counted: Counted, what: str) -> None:
    repository = f"{what}/{name}"
    ((pulls, pulled_at, of_tag, tag_pulled_at),) = counted.rows(_COUNTED, repository)
    assert (pulls, of_tag) == (1, 1)
    assert abs(pulled_at / 1000 - time.time()) < 600
    assert abs(tag_pulled_at / 1000 - time.time()) < 600
    by_day = {tag: counts for tag, *counts in counted.rows(_BY_DAY, repository)}
    pushes = 1 if what == "single" else 3  # an index, and the two images in it
    assert by_day == {"": [1, pushes], "1": [1, 1]}


def test_a_push_counts_once(name: str, counted: Counted) -> None:
    repository = f"pushed/{name}"
    by_day = {tag: counts for tag, *counts in counted.rows(_BY_DAY, repository)}
    assert by_day == {"": [0, 1], "1": [0, 1]}
