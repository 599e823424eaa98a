"""An engine of our own: dockerd on a socket and with a data root that nobody else uses."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL = 0.1

Command = tuple[str | Path, ...]


def commands(state: Path, engine: str | Path, client: str | Path) -> tuple[Command, Command]:
    """The command lines of the engine and of its client: no bridge, no firewall rules."""
    socket = ("--host", f"unix://{state}/socket")
    places = (
        *("--data-root", state / "data"),
        *("--exec-root", state / "exec"),
        *("--pidfile", state / "pid"),
    )
    ways = ("--bridge=none", "--iptables=false", "--storage-driver=overlay2")
    return (engine, *socket, *places, *ways), (client, *socket)


class Docker:
    """The client of a running engine."""

    def __init__(self, client: Command, config: Path) -> None:
        self._client = (*client, "--config", config)

    def run(self, *words: str) -> str:
        """What it prints; RuntimeError when it fails."""
        command = [str(word) for word in (*self._client, *words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise RuntimeError(f"docker {words[0]}: {done.stderr.strip()[-600:]}")
        return done.stdout


@contextlib.contextmanager
def docker_engine(state: Path) -> Iterator[Docker]:
    """Started and waited for; ended with all that it started."""
    state.mkdir(parents=True)
    engine, client = commands(state, "dockerd", "docker")
    docker = Docker(client, state / "config")
    with (state / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(word) for word in engine], stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_until_up(process, docker, state / "log")
        yield docker
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)


def _wait_until_up(process: subprocess.Popen[bytes], docker: Docker, log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(RuntimeError):
            docker.run("version")
            return
        time.sleep(POLL)
    raise RuntimeError(f"dockerd is not ready:\n{log.read_text(errors='replace')[-1500:]}")
