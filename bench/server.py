"""One server under test: started in a session of its own, waited for, stopped."""

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.peers import Peer
from bench.wire import Address, Connection, WireError

READY_SECONDS = 60.0
STOP_SECONDS = 8.0
POLL = 0.005


class ServerError(RuntimeError):
    """The server did not start; the end of its log is in the message."""


class Server:
    """A peer with a data folder and a port of its own; it can be started again on the same data."""

    def __init__(self, peer: Peer, program: Path, folder: Path, workers: int) -> None:
        self.peer = peer
        self.address = Address("127.0.0.1", _free_port())
        self._data, self._log, self._config = folder / "data", folder / "log", folder / "config"
        self._words = {
            "program": str(program),
            "config": str(self._config),
            "data": str(self._data),
            "host": self.address.host,
            "port": str(self.address.port),
            "workers": str(workers),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._data.mkdir(parents=True)
        self._config.write_text(self._filled(self.peer.config))
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The leader of the server's session while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> float:
        """Start, wait until it is ready, return the seconds that took."""
        begun = time.perf_counter()
        environment = {
            **os.environ,
            **{name: self._filled(value) for name, value in self.peer.environment.items()},
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._filled(word) for word in self.peer.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return time.perf_counter() - begun

    def stop(self) -> None:
        """Ask it to end, then end what is left of its session."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)

    def log_tail(self) -> str:
        """The last lines that it wrote."""
        with suppress(OSError):
            return self._log.read_text(errors="replace")[-1500:]
        return ""

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                break
            with suppress(OSError, WireError), Connection(self.address) as connection:
                if connection.request("GET", self.peer.ready).status == 200:
                    return
            time.sleep(POLL)
        raise ServerError(f"{self.peer.title} is not ready:\n{self.log_tail()}")

    def _filled(self, text: str) -> str:
        return text.format(**self._words)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
