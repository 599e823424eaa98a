"""Files inside layers: what their list takes in the database, and what it costs to make it."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from bench.debian import debian_image
from bench.figures import Work
from bench.images import put_manifest
from bench.scenarios.scenario import Site, Stage, Timed
from bench.wire import Connection

REPOSITORY = "bench/inside"
PATIENCE = 120.0
POLL = 0.05


def listing(site: Site) -> Stage:
    """A pushed Debian image, all of whose layers are listed again."""
    _push(site)
    _wait(site.server.data)

    def timed() -> Work:
        begun = time.perf_counter()
        with closing(sqlite3.connect(site.server.data / "kho.db")) as connection, connection:
            connection.execute("UPDATE layer_listings SET state = 'waiting', attempts = 0")
        files = _wait(site.server.data)
        seconds = time.perf_counter() - begun
        return Work(files, seconds, size=_length(site) - empty)

    empty = 0

    def stage(_number: int) -> Timed:
        nonlocal empty
        site.server.stop()
        with closing(sqlite3.connect(site.server.data / "kho.db")) as connection, connection:
            connection.execute("DELETE FROM layer_files")
        site.server.start()
        empty = _length(site)
        return timed

    return stage


def _push(site: Site) -> None:
    layout = debian_image().folder / "debian"
    manifest = _blob(layout, debian_image().digest).read_bytes()
    value = json.loads(manifest)
    with site.server.connect() as connection:
        for one in (value["config"], *value["layers"]):
            _push_blob(connection, one["digest"], _blob(layout, one["digest"]).read_bytes())
        put_manifest(connection, REPOSITORY, "1", manifest)


def _push_blob(connection: Connection, digest: str, content: bytes) -> None:
    target = f"/v2/{REPOSITORY}/blobs/uploads/?digest={digest}"
    stream = {"Content-Type": "application/octet-stream"}
    connection.request("POST", target, stream, content).expect(201)


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def _wait(data: Path) -> int:
    """Until all is listed; how many files."""
    until = time.monotonic() + PATIENCE
    asked = "SELECT count(*), sum(state = 'done'), sum(files) FROM layer_listings"
    while time.monotonic() < until:
        with closing(sqlite3.connect(data / "kho.db")) as connection:
            count, done, files = connection.execute(asked).fetchone()
        if count and count == done:
            return int(files)
        time.sleep(POLL)
    raise TimeoutError("the layers are not listed")


def _length(site: Site) -> int:
    """Bytes of the database without the room of what was deleted."""
    copy = site.scratch / "inside.db"
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(site.server.data / "kho.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    return copy.stat().st_size
