"""One server under test: started in a session of its own, waited for, stopped."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import credentials
from bench.peers import OPEN, PASSWORDS, TLS, TOKENS, Peer
from bench.wire import Address, Connection, TlsConnection, WireError

READY_SECONDS = 60.0
STOP_SECONDS = 8.0
POLL = 0.005


class ServerError(RuntimeError):
    """The server did not start; the end of its log is in the message."""


class Server:
    """A peer with a data folder and a port of its own; it can be started again on the same data."""

    def __init__(
        self, peer: Peer, program: Path, folder: Path, workers: int, mode: str = OPEN
    ) -> None:
        self.peer, self.mode = peer, mode
        self._given, self._secrets = peer.modes[mode], folder / "secrets"
        ca = str(self._secrets / "cert.pem") if mode == TLS else ""
        self.address = Address("127.0.0.1", _free_port(), ca)
        self._data, self._log, self._config = folder / "data", folder / "log", folder / "config"
        self._words = {
            "program": str(program),
            "config": str(self._config),
            "data": str(self._data),
            "secrets": str(self._secrets),
            "host": self.address.host,
            "port": str(self.address.port),
            "workers": str(workers),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._data.mkdir(parents=True)
        self._make_secrets()
        extra = {"http": self._filled(self._given.http), "top": self._filled(self._given.top)}
        self._config.write_text(self.peer.config.format(**self._words, **extra))
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
    def data(self) -> Path:
        """The folder of all that it keeps."""
        return self._data

    @property
    def pid(self) -> int | None:
        """The leader of the server's session while it runs."""
        return self._process.pid if self._process else None

    def connect(self, headers: Mapping[str, str] | None = None) -> Connection:
        """A connection of the kind that the server speaks; `headers` go with every request."""
        kind = TlsConnection if self.address.ca else Connection
        return kind(self.address, headers)

    def authorization(self, repository: str) -> dict[str, str]:
        """The header that lets one push and pull there; nothing where the server asks nobody."""
        if self.mode != TOKENS:
            return {}
        if PASSWORDS in self.peer.abilities:
            with self.connect() as connection:
                token = credentials.fetch_token(connection, repository)
        else:
            token = credentials.sign_token(self._secrets, repository)
        return {"Authorization": f"Bearer {token}"}

    def start(self, workers: int = 0) -> float:
        """Start, wait until it is ready, return the seconds that took; 0: as many as before."""
        if workers:
            self._words["workers"] = str(workers)
        begun = time.perf_counter()
        environment = {
            **os.environ,
            **{name: self._filled(value) for name, value in self.peer.environment.items()},
            **{name: self._filled(value) for name, value in self._given.environment.items()},
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
            with suppress(OSError, WireError), self.connect() as connection:
                ready = self._given.ready or self.peer.ready
                if connection.request("GET", ready).status == 200:
                    return
            time.sleep(POLL)
        raise ServerError(f"{self.peer.title} is not ready:\n{self.log_tail()}")

    def _make_secrets(self) -> None:
        if self.mode == TLS:
            credentials.make_certificate(self._secrets)
        elif self.mode == TOKENS and PASSWORDS in self.peer.abilities:
            credentials.make_account(self._words["program"], self._words["data"])
        elif self.mode == TOKENS:
            credentials.make_key(self._secrets)

    def _filled(self, text: str) -> str:
        return text.format(**self._words)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
