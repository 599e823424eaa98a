"""The lock between processes: exclusive, fair, and released by death."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from kho.server.database.turnstile import Turnstile

HOLDER = """
import sys, time
from kho.server.database.turnstile import Turnstile
with Turnstile(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""
COUNTER = """
import sys, time
from kho.server.database.turnstile import Turnstile
turnstile = Turnstile(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
end, turns, longest = time.monotonic() + 1.0, 0, 0.0
while (start := time.monotonic()) < end:
    with turnstile:
        longest = max(longest, time.monotonic() - start)
        time.sleep(0.001)
    turns += 1
print(turns, longest)
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


def test_nobody_starves(tmp_path: Path) -> None:
    """Processes that want it all the time get about the same, and none waits long."""
    counters = [_python(COUNTER, tmp_path / "kho.db") for _ in range(3)]
    for counter in counters:
        assert counter.stdout is not None
        assert counter.stdout.readline() == "ready\n"
    for counter in counters:
        assert counter.stdin is not None
        counter.stdin.write("go\n")
        counter.stdin.flush()
    results = [counter.communicate(timeout=30)[0].split() for counter in counters]
    turns = [int(turns) for turns, _ in results]
    assert min(turns) > max(turns) / 4
    assert max(float(longest) for _, longest in results) < 0.5
