"""An upload outlives the process that took it: kill -9 in mid-PATCH, ask, go on from there."""

import contextlib
import hashlib
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .processes import descendants, free_port, kill, wait_until
from .servers import KIND, Server, serving
from .upload import Reply, append, call, finish, left_in_mid_patch, opened, worker_of
from .wire import ask

_MIB = 1024 * 1024
_BLOB = random.Random(20).randbytes(24 * _MIB)
_DIGEST = "sha256:" + hashlib.sha256(_BLOB).hexdigest()
_FIRST = 8 * _MIB
_CUT = 17 * _MIB + 12345


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a server of this test alone keeps its data."""
    return tmp_path / "server"


def test_kill_of_the_whole_server_and_restart(home: Path) -> None:
    port = free_port()
    with serving(home, port) as server, _cut_upload(server) as (location, _worker):
        for pid in (server.pid, *descendants(server.pid)):
            kill(pid)
    with serving(home, port) as again:
        _carry_on(again, location)


@pytest.mark.skipif(KIND == "distribution", reason="it is one process")
def test_kill_of_one_worker(home: Path) -> None:
    with serving(home) as server, _cut_upload(server) as (location, worker):
        assert worker != server.pid
        kill(worker)
        wait_until(lambda: worker not in descendants(server.pid), 10, "the killed worker is gone")
        _carry_on(server, location)
        assert len(_blob_files(server)) == 1


@contextlib.contextmanager
def _cut_upload(server: Server) -> Iterator[tuple[str, int]]:
    """An upload cut in its second PATCH; yields where it goes on, and the worker that had it."""
    reply = append(server, opened(server, "resume/blob"), 0, _BLOB[:_FIRST])
    assert (reply.status, reply.offset) == (202, _FIRST)
    half = _BLOB[_FIRST:_CUT]
    connection = left_in_mid_patch(server, reply.location, _FIRST, half, len(_BLOB) - _FIRST)
    with contextlib.closing(connection):
        worker = worker_of(server, connection)
        assert worker
        time.sleep(0.5)  # let the bytes that were sent be taken
        yield reply.location, worker


def _carry_on(server: Server, location: str) -> None:
    """Ask for the offset, send the rest from there, commit, and read it all back."""
    told = _told(server, location)
    assert _FIRST <= told.offset <= _CUT
    reply = append(server, told.location, told.offset, _BLOB[told.offset :])
    assert (reply.status, reply.offset) == (202, len(_BLOB)), reply.text
    done = finish(server, reply.location, _DIGEST)
    assert (done.status, done.headers["Docker-Content-Digest"]) == (201, _DIGEST), done.text
    assert _digest_read_back(server) == _DIGEST


def _told(server: Server, location: str) -> Reply:
    """The answer to a GET of the upload, once a worker listens again."""
    replies: list[Reply] = []

    def answered() -> bool:
        with contextlib.suppress(OSError):
            replies.append(call(server, "GET", location))
        return bool(replies)

    wait_until(answered, 10, "the upload answers")
    assert replies[0].status == 204, replies[0].text
    return replies[0]


def _digest_read_back(server: Server) -> str:
    blob = ask(server, "GET", f"/v2/resume/blob/blobs/{_DIGEST}")
    return "sha256:" + hashlib.sha256(blob.body).hexdigest()


def _blob_files(server: Server) -> list[Path]:
    hexed = _DIGEST.partition(":")[2]
    return list((server.data / "docker/registry/v2/blobs/sha256" / hexed[:2] / hexed).glob("data"))
