"""New certificates are taken while the server serves, and nobody notices but by looking."""

import os
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from signal import SIGHUP, SIGKILL

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import PrivateFormat

from tests.server.pairs import Pair, ec_key, key_pem, self_signed
from tests.server.serving import Server, serving, wait_until


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path / "tls")


@pytest.fixture
def server(data: Path, pair: Pair) -> Iterator[Server]:
    with serving(data, environ={"KHO_HTTP_DRAIN_SECONDS": "0.5"}, **pair.settings) as started:
        started.context = pair.context()
        started.ready()
        yield started


def shown(server: Server) -> int:
    """The serial number of the certificate that a new connection is shown."""
    pem = ssl.get_server_certificate(("127.0.0.1", server.port), timeout=20)
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def all_show(server: Server, number: int) -> None:
    """Wait until every worker shows this certificate."""
    wait_until(lambda: [shown(server) for _ in range(8)] == [number] * 8)


def download(server: Server, seconds: float) -> str:
    """The process that served it, when all of it came."""
    assert server.get(f"/long/{seconds}", timeout=60).endswith("xend")
    return "whole"


def test_no_request_fails_and_no_download_is_cut(server: Server, pair: Pair) -> None:
    ended = threading.Event()

    def ask() -> int:
        count = 0
        while not ended.is_set():
            assert int(server.get("/"))
            count += 1
        return count

    with ThreadPoolExecutor(6) as pool:
        long = [pool.submit(download, server, 8) for _ in range(2)]
        wait_until(lambda: len(server.events("begun")) == 2)
        old = server.pids()
        clients = [pool.submit(ask) for _ in range(3)]
        try:
            for _ in range(2):
                all_show(server, pair.issue())
            # The old workers are long past http.drain_seconds, and still there.
            assert any(Path(f"/proc/{pid}").exists() for pid in old)
        finally:
            ended.set()
        assert all(one.result() > 5 for one in clients)
        assert [one.result() for one in long] == ["whole", "whole"]
    wait_until(lambda: len(server.events("worker stopped")) == 4)
    assert server.events("worker died") == []
    assert server.events("drain deadline passed, worker killed") == []
    assert server.stop() == 0


def test_a_connection_that_is_open_stays_open(server: Server, pair: Pair) -> None:
    connection = server.connection()
    connection.request("GET", "/")
    old = connection.getresponse().read()
    connection.request("GET", "/slow/4")
    all_show(server, pair.issue())
    assert connection.getresponse().read() == old
    connection.close()


def as_kubernetes(pair: Pair, folder: Path) -> Callable[[], int]:
    """Files are links into `..data`, which is a link that is renamed over; the replacer."""
    mounted = folder / "mounted"
    mounted.mkdir()
    count = 0

    def replace() -> int:
        nonlocal count
        count += 1
        number = pair.issue()
        version = mounted / f"..{count}"
        version.mkdir()
        for one in (pair.cert, pair.key):
            (version / one.name).write_bytes(one.read_bytes())
        (mounted / "..new").symlink_to(version.name)
        (mounted / "..new").rename(mounted / "..data")
        return number

    replace()
    for one in (pair.cert, pair.key):
        (mounted / one.name).symlink_to(f"..data/{one.name}")
    return replace


def test_links_that_are_swapped(data: Path, pair: Pair, tmp_path: Path) -> None:
    replace = as_kubernetes(pair, tmp_path)
    mounted = tmp_path / "mounted"
    paths = {"tls.cert": mounted / pair.cert.name, "tls.key": mounted / pair.key.name}
    with serving(data, paths, workers=1) as server:
        server.ready()
        for _ in range(2):
            all_show(server, replace())
        assert server.events("certificate not reloaded") == []


def test_a_pair_that_is_wrong_is_told_once_and_the_old_one_stays(
    server: Server, pair: Pair
) -> None:
    before, number = server.pids(), shown(server)
    pair.key.write_bytes(key_pem(ec_key(), PrivateFormat.PKCS8))
    wait_until(lambda: server.events("certificate not reloaded"))
    time.sleep(2.5)
    told = server.events("certificate not reloaded")
    assert len(told) == 1
    assert told[0]["problem"].startswith(f"tls.key: the key {pair.key} is not that of")
    assert server.pids() == before
    os.kill(before[0], SIGKILL)  # whoever takes its place must not need the files
    pair.key.unlink()
    wait_until(lambda: len(server.events("worker started")) == 3)
    assert {shown(server) for _ in range(8)} == {number}
    all_show(server, pair.issue())
    assert server.stop() == 0


def test_what_only_granian_refuses_does_not_replace_a_worker(server: Server, pair: Pair) -> None:
    before, number, key = server.pids(), shown(server), ec_key()
    pair.key.write_bytes(key_pem(key, PrivateFormat.PKCS8))
    pair.cert.write_bytes(self_signed(key, strange=True))
    wait_until(lambda: len(server.events("worker died")) >= 3)
    assert {int(server.get("/")) for _ in range(10)} <= set(before)
    assert shown(server) == number
    all_show(server, pair.issue())
    assert server.stop() == 0


def test_files_that_are_only_touched_change_nothing(server: Server, pair: Pair) -> None:
    before = server.pids()
    pair.cert.touch()
    pair.key.write_bytes(pair.key.read_bytes())
    time.sleep(3)
    assert server.pids() == before
    assert server.events("certificate not reloaded") == []


def test_sighup_takes_other_files_and_refuses_wrong_ones(data: Path, tmp_path: Path) -> None:
    first, second = Pair(tmp_path / "first"), Pair(tmp_path / "second")
    file = tmp_path / "kho.toml"

    def point_to(pair: Pair, *, key: Path | None = None) -> None:
        file.write_text(f'[tls]\ncert = "{pair.cert}"\nkey = "{key or pair.key}"\n')

    point_to(first)
    with serving(data, config=file) as server:
        server.ready()
        number = shown(server)
        point_to(second, key=first.key)
        server.signal(SIGHUP)
        wait_until(lambda: server.events("certificate not reloaded"))
        wait_until(lambda: len(server.events("worker stopped")) == 2)
        assert shown(server) == number
        all_show(server, first.issue())  # which are watched still
        point_to(second)
        server.signal(SIGHUP)
        all_show(server, x509.load_pem_x509_certificate(second.cert.read_bytes()).serial_number)
        file.write_text("")
        server.signal(SIGHUP)
        wait_until(lambda: len(server.events("certificate not reloaded")) == 2)
        assert "by a restart only" in server.events("certificate not reloaded")[1]["problem"]
        assert server.stop() == 0


def test_sighup_does_not_stop_asking_clients_by_mistake(data: Path, pair: Pair) -> None:
    file = pair.cert.with_name("kho.toml")
    both = f'[tls]\ncert = "{pair.cert}"\nkey = "{pair.key}"\nclient_auth = "required"\n'
    file.write_text(f'{both}client_ca = "{pair.ca}"\n')
    with serving(data, config=file) as server:
        server.ready()
        file.write_text(both)
        server.signal(SIGHUP)
        wait_until(lambda: server.events("certificate not reloaded"))
        wait_until(lambda: len(server.events("worker stopped")) == 2)
        server.context = pair.context()
        with pytest.raises(ssl.SSLError, match=r"(?i)certificate required"):
            server.get("/")


def test_many_changes_leave_room_for_workers(data: Path, pair: Pair) -> None:
    environ = {"KHO_HTTP_DRAIN_SECONDS": "1"}
    with (
        serving(data, workers=1, environ=environ, **pair.settings) as server,
        ThreadPoolExecutor(8) as pool,
    ):
        server.context = pair.context()
        server.ready()
        long: list[Future[str]] = []
        for number in range(5):
            long.append(pool.submit(download, server, 60))
            wait_until(lambda n=number: len(server.events("begun")) == n + 1)  # type: ignore[misc]
            all_show(server, pair.issue())
        # Two generations may linger; the three before them had http.drain_seconds.
        wait_until(lambda: len(server.events("drain deadline passed, worker killed")) == 3)
        serving_now = int(server.get("/"))
        os.kill(serving_now, SIGKILL)
        assert int(server.get("/")) != serving_now
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.ended() == 0  # not an hour
        assert time.monotonic() - started < 15
        assert [one.exception() is not None for one in long] == [True] * 5
