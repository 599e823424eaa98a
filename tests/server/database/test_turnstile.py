"""The lock between processes: exclusive, fair, and released by death."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from kho.server.database.drivers.turnstile import Turnstile

HOLDER = """
import sys, time
from kho.server.database.drivers.turnstile import Turnstile
with Turnstile(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def _python(source: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", source, str(path)]
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    )


def test_its_files_are_for_the_owner_only(tmp_path: Path) -> None:
    Turnstile(str(tmp_path / "kho.db")).close()
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"kho.db.lock": 0o600, "kho.db.next": 0o600}


def test_one_at_a_time(tmp_path: Path) -> None:
    first, second = (Turnstile(str(tmp_path / "kho.db")) for _ in range(2))
    entered = threading.Event()

    def enter() -> None:
        with second:
            entered.set()

    thread = threading.Thread(target=enter)
    with first:
        thread.start()
        assert not entered.wait(0.1)
    assert entered.wait(5)
    thread.join()
    first.close()
    second.close()


def test_death_releases_it(tmp_path: Path) -> None:
    holder = _python(HOLDER, tmp_path / "kho.db")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    os.kill(holder.pid, signal.SIGKILL)
    start = time.monotonic()
    turnstile = Turnstile(str(tmp_path / "kho.db"))
    with turnstile:
        assert time.monotonic() - start < 1
    turnstile.close()
    holder.communicate()


def _waits_at_the_gate(path: str) -> bool:
    gate = os.open(path + ".next", os.O_RDWR)
    try:
        fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(gate)
    return False


def test_who_waits_goes_next(tmp_path: Path) -> None:
    """With a plain flock, who lets go and asks again passes first, many times in a row."""
    path = str(tmp_path / "kho.db")
    holder, waiter = Turnstile(path), Turnstile(path)
    for _ in range(20):
        order: list[str] = []

        def enter(order: list[str] = order) -> None:
            with waiter:
                order.append("waiter")

        thread = threading.Thread(target=enter)
        with holder:
            thread.start()
            deadline = time.monotonic() + 5
            while not _waits_at_the_gate(path):
                assert time.monotonic() < deadline
        with holder:
            order.append("holder")
        thread.join()
        assert order == ["waiter", "holder"]
    holder.close()
    waiter.close()
