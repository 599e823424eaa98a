"""A private PostgreSQL server for tests: own folder, Unix socket only, gone afterwards."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

START_SECONDS = 30
# Survives the death of its processes, not of the machine.
FASTER_THAN_SAFE = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "32MB",
}


class PostgresMissing(Exception):
    """No PostgreSQL programs on this machine."""


class PostgresServer:
    """One server of its own; `with PostgresServer() as server: server.url("name")`."""

    def __init__(self) -> None:
        self._programs = _programs()
        self._user = None if os.geteuid() else _unprivileged()
        # A short path: the name of a Unix socket holds about a hundred bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="kho-pg-"))
        self._data = self.folder / "data"
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self._initialized = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server and wait until it answers; the first time, make its files."""
        if not self._initialized:
            self._run(
                "initdb",
                "-D",
                self._data,
                "-A",
                "trust",
                "-U",
                "kho",
                "-E",
                "UTF8",
                "-N",
                "--locale=C.UTF-8",
            )
            self._initialized = True
        settings = {**FASTER_THAN_SAFE, "unix_socket_directories": str(self.folder)}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        log = self.folder / "log"
        self._run(
            "pg_ctl",
            "-D",
            self._data,
            "-l",
            log,
            "-w",
            "-t",
            str(START_SECONDS),
            "-o",
            options,
            "start",
        )

    def stop(self, *, mode: str = "immediate") -> None:
        """Stop the server, also one that was paused; `mode` is that of pg_ctl."""
        self.resume()
        self._run("pg_ctl", "-D", self._data, "-m", mode, "-w", "stop", check=False)

    def pause(self) -> None:
        """SIGSTOP: the server and all its sessions stand still, connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: it goes on as if nothing had happened."""
        self._signal(signal.SIGCONT)

    def create(self, database: str, *, template: str = "template1") -> str:
        """Make a database, empty or a copy of another, and return its URL."""
        self.sql(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url(database)

    def drop(self, database: str) -> None:
        """Remove a database and throw out whoever uses it."""
        self.sql(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def url(self, database: str) -> str:
        """Where the server finds it: `postgresql://kho@/database?host=/folder`."""
        return f"postgresql://kho@/{database}?host={self.folder}"

    def sql(self, statement: str, *, database: str = "postgres") -> str:
        """Run a statement as the superuser, its rows as text."""
        done = self._run("psql", "-h", self.folder, "-U", "kho", "-XAtq", "-c", statement, database)
        return done.stdout.strip()

    def _signal(self, number: int) -> None:
        pids = self._data / "postmaster.pid"
        if not pids.exists():
            return
        postmaster = int(pids.read_text().splitlines()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children")
        for pid in (postmaster, *map(int, children.read_text().split())):
            with suppress(ProcessLookupError):  # one that has just ended
                os.kill(pid, number)

    def _run(
        self, program: str, *arguments: object, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        command = [str(self._programs / program), *map(str, arguments)]
        if self._user is not None:
            command = [
                "setpriv",
                f"--reuid={self._user}",
                f"--regid={self._user}",
                "--clear-groups",
                *command,
            ]
        # The server keeps the output open: give it a file, not a pipe, and it delays nobody.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, cwd="/", check=False, text=True
            )
            output.seek(0)
            done.stdout = output.read()
        if check and done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}")
        return done


@contextmanager
def wanted_server() -> Iterator[PostgresServer]:
    """A server; without PostgreSQL the test fails, or is left out if KHO_TEST_POSTGRES says so."""
    if os.environ.get("KHO_TEST_POSTGRES") == "skip":
        pytest.skip("KHO_TEST_POSTGRES=skip")
    try:
        server = PostgresServer()
    except PostgresMissing as error:
        pytest.fail(str(error), pytrace=False)
    with server:
        yield server


def _programs() -> Path:
    """The folder of the newest PostgreSQL of this machine."""
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4])
    )
    found = shutil.which("initdb")
    if debian:
        return debian[-1].parent
    if found is not None:
        return Path(found).resolve().parent
    raise PostgresMissing(
        "PostgreSQL is not installed (Debian: apt-get install postgresql); "
        "KHO_TEST_POSTGRES=skip leaves its tests out"
    )


def _unprivileged() -> str:
    """A user to run as: PostgreSQL refuses root."""
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise PostgresMissing(
        "PostgreSQL refuses root, and there is neither a user postgres nor nobody"
    )
