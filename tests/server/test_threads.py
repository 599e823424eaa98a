"""Threads beside the loop: there from the start, and no more of them afterwards."""

import asyncio
import threading
import warnings
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from kho.oci.errors import Unavailable
from kho.server.index import logins
from kho.server.index.sources.passwords import Line
from kho.server.threads import Threads
from kho.server.web.acme import PREFIX
from tests.flows.registry import Registry

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import ldap3  # noqa: F401  it uses old names of pyasn1, which say so when they are imported


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """Of a registry with everything that has threads; its directory of users cannot be reached."""
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    (tmp_path / "htpasswd").write_text(f"alice:{hashed}\n")
    (tmp_path / "challenge").write_text("shown")
    return {
        "auth.htpasswd": str(tmp_path / "htpasswd"),
        "tls.acme_folder": str(tmp_path),
        "ldap.url": "ldap://127.0.0.1:1",
        "ldap.user_base": "dc=example",
    }


async def test_no_request_starts_a_thread(registry: Registry) -> None:
    resources = registry.workers[-1].app.resources
    assert resources is not None
    resources.memory.keep(Line).rest_factor = 0.0
    before = set(threading.enumerate())
    assert {"hashing_0", "files_0", "ldap_0", "ldap_3"} <= {one.name for one in before}
    shown = await registry.client.get(f"{PREFIX}challenge")
    assert shown.body == b"shown"
    await logins.authenticate(resources, "alice", "secret", "192.0.2.1")
    with pytest.raises(Unavailable):
        await logins.authenticate(resources, "bob", "secret", "192.0.2.1")
    assert set(threading.enumerate()) <= before
    await registry.stop()
    ended = {one.name for one in before if not one.is_alive()}
    assert {"hashing_0", "files_0", "ldap_0", "ldap_3"} <= ended


class Gate:
    """Work that ends when it may."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()
        self.done: list[str] = []

    def work(self, name: str) -> str:
        self.begun.set()
        assert self.open.wait(20)
        self.done.append(name)
        return name


async def test_who_is_cancelled_while_it_runs_waits_for_the_end() -> None:
    threads, gate = Threads("one", 1), Gate()
    running = asyncio.create_task(threads.run(gate.work, "a"))
    assert await asyncio.to_thread(gate.begun.wait, 20)
    running.cancel()
    await asyncio.wait({running}, timeout=0.05)
    assert not running.done()
    gate.open.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert gate.done == ["a"]
    threads.close()


async def test_what_was_cancelled_before_it_began_never_runs() -> None:
    threads, gate = Threads("one", 1), Gate()
    calls = [threads.submit(gate.work, name) for name in "abc"]
    assert await asyncio.to_thread(gate.begun.wait, 20)
    calls[0].cancel()  # it goes on, and nobody is told
    calls[1].cancel()
    gate.open.set()
    assert await calls[2] == "c"
    assert gate.done == ["a", "c"]
    threads.close()


async def test_each_thread_begins_as_it_is_told_however_little_memory_there_is() -> None:
    began: list[str] = []

    def begin() -> None:
        began.append(threading.current_thread().name)
        if began.count(began[-1]) < 3:
            raise MemoryError

    threads = Threads("short", 2, begin)
    assert await threads.run(int, "7") == 7
    threads.close()
    assert sorted(began) == ["short_0"] * 3 + ["short_1"] * 3


async def test_an_error_is_the_caller_s_and_the_thread_lives_on() -> None:
    threads = Threads("one", 1)
    for error in (OSError, SystemExit, MemoryError):

        def fail(error: type[BaseException] = error) -> None:
            raise error

        with pytest.raises(error):
            await threads.run(fail)
    assert await threads.submit(int, "7") == 7
    threads.close()
