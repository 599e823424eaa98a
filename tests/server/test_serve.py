"""`khod serve` from the first step to the exit code: real processes on free ports."""

import fcntl
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM

import pytest

from kho import __version__
from kho.server.serve import CannotStart, held_folder, open_listeners
from kho.server.setting import Address
from tests.server.serving import Server, serving, wait_until


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def server(data: Path) -> Iterator[Server]:
    with serving(data) as started:
        started.ready()
        yield started


class Asking:
    """A request in the background."""

    def __init__(self, server: Server, path: str) -> None:
        self.answer: str | None = None
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._ask, args=(server, path))
        self._thread.start()

    def _ask(self, server: Server, path: str) -> None:
        try:
            self.answer = server.get(path)
        except Exception as error:  # noqa: BLE001  looked at by the test
            self.error = error

    def done(self) -> "Asking":
        """Wait for the end."""
        self._thread.join(20)
        return self


def refuses(server: Server) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
    except OSError as error:
        return isinstance(error, ConnectionRefusedError)
    return False


def wait_for(server: Server, event: str, count: int) -> None:
    wait_until(lambda: len(server.events(event)) == count)


def test_one_line_says_ready(data: Path) -> None:
    with serving(data) as server:
        line = server.ready()
        expected = f"http://127.0.0.1:{server.port} (data {data}, 2 workers)"
        opened = "; open to all: there is no account yet\n"
        assert line == f"khod {__version__} ready at {expected}{opened}"
        answered: set[int] = set()
        while len(answered) < 2:
            answered.add(int(server.get("/")))
        assert answered == set(server.pids())
        assert server.stop() == 0
        assert server.process.stdout is not None
        rest = server.process.stdout.read()  # tests/server/test_doors.py says when it is there
        assert not rest or rest.startswith(b"first administrator, once: http://127.0.0.1:")
        assert len(server.events("lifespan ended")) == 2


def test_one_worker_is_one_worker(data: Path) -> None:
    with serving(data, workers=1) as server:
        assert ", 1 worker); " in server.ready()


@pytest.mark.usefixtures("server")
def test_the_folder_is_private(data: Path) -> None:
    assert data.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in data.iterdir() if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
def test_a_running_request_finishes_and_new_ones_are_refused(server: Server, number: int) -> None:
    asking = Asking(server, "/slow/2.5")
    wait_for(server, "begun", 1)
    os.kill(server.process.pid, number)
    wait_until(lambda: refuses(server))
    assert server.process.poll() is None
    assert asking.done().answer is not None
    assert server.ended() == 0
    assert server.events("stopped")[0]["code"] == 0


@pytest.mark.parametrize("numbers", [(SIGTERM, SIGTERM), (SIGINT, SIGTERM, SIGINT)])
def test_signals_to_every_process_of_the_unit_do_no_harm(
    server: Server, numbers: tuple[int, ...]
) -> None:
    asking = Asking(server, "/slow/1.5")
    wait_for(server, "begun", 1)
    everyone = [*server.pids(), server.process.pid]
    for number in numbers:
        for pid in everyone:
            os.kill(pid, number)
    assert asking.done().answer is not None
    assert server.ended() == 0


def test_sigterm_while_workers_start_is_obeyed_by_all(data: Path) -> None:
    with serving(data, workers=4) as server:
        server.ready()
        assert server.stop() == 0
        assert server.events("drain deadline passed, worker killed") == []


@pytest.mark.parametrize("path", ["/slow/30", "/stuck/30"])
def test_the_deadline_cuts(path: str, data: Path) -> None:
    with serving(data, environ={"KHO_HTTP_DRAIN_SECONDS": "0.5"}) as server:
        server.ready()
        asking = Asking(server, path)
        wait_for(server, "begun", 1)
        assert server.stop() == 0
        assert asking.done().error is not None
        assert len(server.events("drain deadline passed, worker killed")) == 1


def test_sighup_brings_new_values_without_a_failure(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "kho.toml"
    file.write_text("[http]\nidle_seconds = 7\n")
    with serving(data, config=file) as server:
        server.ready()
        assert server.get("/setting/http.idle_seconds") == "7.0"
        old = set(server.pids())
        asking = Asking(server, "/slow/1")
        wait_for(server, "begun", 1)
        file.write_text('listen = "127.0.0.1:1"\nstorage = "file:///x"\n[http]\nidle_seconds = 8\n')
        server.signal(SIGHUP)
        while old & {one["pid"] for one in server.events("worker stopped")} != old:
            server.get("/")
        assert asking.done().answer is not None
        assert {server.get("/setting/http.idle_seconds") for _ in range(10)} == {"8.0"}
        assert server.get("/setting/storage") == ""
        assert not old & set(server.pids())
        assert server.events("configuration reloaded")[0]["changed"] == ["http.idle_seconds"]
        named = server.events("restart needed to change settings")[0]["settings"]
        assert named == ["storage"]  # a flag stands above the file's `listen`
        assert server.events("worker died") == []
        assert server.stop() == 0


def test_sighup_under_load_loses_no_request(server: Server) -> None:
    def ask() -> set[str]:
        answered: set[str] = set()
        while len(server.events("configuration reloaded")) < 4:
            answered |= {server.get("/") for _ in range(20)}
        return answered

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(ask) for _ in range(4)]
        for number in range(4):
            server.signal(SIGHUP)
            wait_for(server, "worker stopped", 2 * number + 2)
    assert len(set().union(*(one.result() for one in clients))) >= 8


def test_sighup_with_mistakes_keeps_the_old_values(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "kho.toml"
    file.write_text("[http]\nidle_seconds = 7\n")
    with serving(data, config=file) as server:
        server.ready()
        old = server.pids()
        file.write_text('[http]\nidle_seconds = "soon"\ndrain = 1\n')
        server.signal(SIGHUP)
        wait_until(lambda: len(server.events("configuration not reloaded")) == 2)
        told = [one["problem"] for one in server.events("configuration not reloaded")]
        assert told[0].startswith("http.idle_seconds (file ")
        assert "the nearest is http.drain_seconds" in told[1]
        assert server.get("/setting/http.idle_seconds") == "7.0"
        assert server.pids() == old


def test_a_killed_worker_is_replaced_every_time(server: Server) -> None:
    for number in range(5):
        victim = int(server.get("/"))
        os.kill(victim, SIGKILL)
        wait_for(server, "worker died", number + 1)
        for _ in range(10):
            assert int(server.get("/")) != victim
    assert {one["ended"] for one in server.events("worker died")} == {"SIGKILL"}
    assert len(server.pids()) == 2
    assert "kho_worker_exits_total 5" in server.get("/metrics")
    assert server.stop() == 0


def test_metrics_outlive_their_worker(server: Server) -> None:
    asked = {server.get("/") for _ in range(20)}
    expected = 'kho_http_requests_total{route="small",method="GET",status="200"} 21'
    for pid in asked:
        os.kill(int(pid), SIGKILL)
    wait_for(server, "worker died", len(asked))
    assert expected in server.get("/metrics")  # and the question whether it is ready


def test_workers_that_cannot_start_end_the_server(data: Path) -> None:
    data.mkdir()
    (data / "fail").touch()
    with serving(data) as server:
        assert server.ended() == 1
        assert server.events("worker died")[0]["ended"] == "code 1"
        assert server.events("ready") == []


def test_once_served_the_server_waits_for_better_times(server: Server, data: Path) -> None:
    (data / "fail").touch()
    for pid in server.pids():
        os.kill(pid, SIGKILL)
    wait_until(lambda: len(server.events("worker start delayed")) >= 4)
    assert len(server.events("worker died")) < 20
    (data / "fail").unlink()
    assert int(server.get("/")) in server.pids()
    assert server.stop() == 0


def test_workers_die_with_their_parent_and_the_folder_is_free(server: Server, data: Path) -> None:
    workers = server.pids()
    server.destroy()
    with serving(data, listen=f"127.0.0.1:{server.port}") as second:
        second.ready()
        assert not any(Path(f"/proc/{pid}/exe").exists() for pid in workers)
        assert int(second.get("/")) in second.pids()


def test_a_second_khod_on_the_same_folder(server: Server, data: Path) -> None:
    for listen in ("127.0.0.1:0", f"127.0.0.1:{server.port}"):
        files = [path for path in data.rglob("*") if path.is_file() and path.suffix != ".db-shm"]
        before = {path: path.read_bytes() for path in files}
        with serving(data, listen=listen) as second:
            assert second.ended() == 1
            expected = f"in use by another khod (pid {server.process.pid})\n"
            assert second.errors() == f"khod: the data folder {data} is {expected}"
        assert before == {path: path.read_bytes() for path in before}
    assert int(server.get("/")) in server.pids()


def test_a_port_in_use(server: Server, tmp_path: Path) -> None:
    address = f"127.0.0.1:{server.port}"
    with serving(tmp_path / "other", listen=address) as second:
        assert second.ended() == 1
        assert second.errors() == f"khod: cannot listen on {address}: the port is in use\n"
    assert not (tmp_path / "other").exists()


def test_a_port_that_another_program_shares() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(CannotStart, match="the port is in use"):
            open_listeners(Address(*other.getsockname()), 2)


@pytest.mark.parametrize(
    "address, text",
    [
        (Address("192.0.2.1", 0), "this machine does not have that address"),
        (Address("host.invalid", 0), "the host name is unknown"),
    ],
)
def test_an_address_that_is_not_here(address: Address, text: str) -> None:
    with pytest.raises(CannotStart, match=text):
        open_listeners(address, 1)


def test_listeners_share_one_port() -> None:
    listeners = open_listeners(Address("127.0.0.1", 0), 3)
    assert len({one.getsockname() for one in listeners}) == 1
    for one in listeners:
        one.close()


@pytest.mark.parametrize("inside", ["", "deeper/still"])
def test_a_file_in_place_of_the_folder(inside: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    folder = tmp_path / "file" / inside
    with pytest.raises(CannotStart, match=f"the data folder {folder} cannot be written: "):
        held_folder(folder).__enter__()
    assert (tmp_path / "file").read_text() == "mine"


def test_a_newer_database_is_left_alone(data: Path) -> None:
    with serving(data) as server:
        server.ready()
        assert server.stop() == 0
    with sqlite3.connect(data / "kho.db") as rows:
        rows.execute("UPDATE alembic_version SET version_num = '9999'")
    rows.close()
    before = (data / "kho.db").read_bytes()
    with serving(data) as server:
        assert server.ended() == 1
        told = server.errors()
        assert told.startswith("khod: the database is newer than this program (revision 9999")
        assert told.count("\n") == 1
    assert (data / "kho.db").read_bytes() == before


def test_a_khod_waits_for_what_a_killed_one_has_left(server: Server, data: Path) -> None:
    server.process.kill()
    server.process.wait(20)
    lock = os.open(data / "khod.lock", os.O_RDWR)  # as a worker that the disk keeps
    wait_until(lambda: _locks(lock))
    with serving(data) as second:
        time.sleep(2.5)  # longer than for one that lives
        assert second.process.poll() is None
        os.close(lock)
        second.ready()


def _locks(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
