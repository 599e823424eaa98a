"""Commands that end and daemons that are ended."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest


class CommandFailed(AssertionError):
    """A command ended with another status than the test expected."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended, and everything it said."""

    command: str
    status: int
    said: str

    @property
    def succeeded(self) -> bool:
        """Whether its status is 0."""
        return self.status == 0

    def must_succeed(self) -> "Outcome":
        """Itself; CommandFailed when the command failed."""
        if not self.succeeded:
            raise CommandFailed(f"{self.command}\nstatus {self.status}\n{self.said[-6000:]}")
        return self

    def must_be_refused(self, pattern: str) -> "Outcome":
        """Itself; CommandFailed when the command succeeded, or gave a reason that is unlike."""
        told = f"{self.command}\nstatus {self.status}\n{self.said[-6000:]}"
        if self.succeeded:
            raise CommandFailed(f"expected to fail: {told}")
        if not re.search(pattern, self.said, re.IGNORECASE):
            raise CommandFailed(f"expected {pattern!r} in: {told}")
        return self


def outcome(
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float = 180,
) -> Outcome:
    """Run a command that may fail."""
    ended = _ended(command, env, timeout, None, stdin)
    words = " ".join(str(part) for part in command)
    return Outcome(words, ended.returncode, ended.stdout + ended.stderr)


def run(
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 180,
    cwd: Path | None = None,
    stdin: str | None = None,
) -> str:
    """Run a command that must succeed, and return what it wrote to standard output."""
    ended = _ended(command, env, timeout, cwd, stdin)
    if ended.returncode != 0:
        raise CommandFailed(_told(command, ended))
    return ended.stdout


def refused(*command: str | Path, env: Mapping[str, str] | None = None, timeout: float = 60) -> str:
    """Run a command that must fail, and return what it said."""
    ended = _ended(command, env, timeout, None)
    if ended.returncode == 0:
        raise CommandFailed("expected to fail: " + _told(command, ended))
    return ended.stdout + ended.stderr


def _ended(
    command: Sequence[str | Path],
    env: Mapping[str, str] | None,
    timeout: float,
    cwd: Path | None,
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **(env or {})},
        cwd=cwd,
        timeout=timeout,
        input=stdin or "",
        capture_output=True,
        text=True,
        check=False,
    )


def _told(command: Sequence[str | Path], ended: subprocess.CompletedProcess[str]) -> str:
    words = " ".join(str(part) for part in command)
    return f"{words}\nstatus {ended.returncode}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"


@contextlib.contextmanager
def daemon(
    command: Sequence[str | Path],
    log: Path,
    ready: Callable[[], bool],
    env: Mapping[str, str] | None = None,
    patience: float = 40,
) -> Iterator[int]:
    """Run a daemon until the block ends, children and all; yields its pid once it is ready."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=dict(env if env is not None else os.environ),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        what = f"{command[0]} is ready"
        wait_until(lambda: process.poll() is not None or ready(), patience, what)
        if process.poll() is not None:
            pytest.fail(f"{command[0]} ended at once:\n{log.read_text(errors='replace')[-3000:]}")
        yield process.pid
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    family = descendants(process.pid)
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)
    for pid, started in family.items():
        if _start_time(pid) == started:
            kill(pid)


def kill(pid: int) -> None:
    """SIGKILL, if the process is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    """The processes whose parent is `pid`."""
    return [entry for entry in _all_pids() if _stat(entry)[1:2] == [str(pid)]]


def descendants(pid: int) -> dict[int, str]:
    """Every process below `pid`, with the start time that tells it from a later one."""
    found: dict[int, str] = {}
    for child in children(pid):
        found[child] = _start_time(child)
        found |= descendants(child)
    return found


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat that follow the command's name: state, parent, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _start_time(pid: int) -> str:
    fields = _stat(pid)
    return fields[19] if fields else ""


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Ask again and again; fail when `what` has not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"gave up after {seconds:g} s: {what}")
        time.sleep(0.1)


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def unmount_below(folder: Path) -> None:
    """Unmount what a client left mounted under `folder`, deepest first."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    below = [point for point in mounted if Path(point).is_relative_to(folder)]
    for point in sorted(below, reverse=True):
        run("umount", "--lazy", point)
