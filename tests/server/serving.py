"""A server process under test: `khod serve` with a small application in place of the registry.

python -m tests.server.serving KEY=VALUE ...
"""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kho.server import metrics, telemetry
from kho.server.config import Config, load
from kho.server.serve import CannotStart, serve
from kho.server.settings import SETTINGS, value_of

SECONDS = 20.0


class Small:
    """Answers with its process id, slowly on request, or with a setting."""

    def __init__(self, config: Config) -> None:
        self.config = config

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["path"].startswith("/long/"):
            await self._long(float(scope["path"].removeprefix("/long/")), send)
            return
        body = (await self._body(scope["path"])).encode()
        metrics.observe_request("small", scope["method"], 200, 0.001, 0, len(body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def _long(self, seconds: float, send: Any) -> None:
        """A download that takes its time."""
        telemetry.log_event("begun", pid=os.getpid())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(int(seconds * 20)):
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
            await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b"end"})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        if (self.config.data / "fail").exists():
            await send({"type": "lifespan.startup.failed", "message": "told to fail"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        telemetry.log_event("lifespan ended", pid=os.getpid())
        await send({"type": "lifespan.shutdown.complete"})

    async def _body(self, path: str) -> str:
        what, _, value = path[1:].partition("/")
        if what in {"slow", "stuck"}:
            telemetry.log_event("begun")
        if what == "slow":
            await asyncio.sleep(float(value))
        if what == "stuck":
            time.sleep(float(value))  # noqa: ASYNC251  the event loop is blocked on purpose
        if what == "setting":
            return str(value_of(self.config, value))
        if what == "metrics":
            return metrics.render_metrics().decode()
        return str(os.getpid())


def small(config: Config) -> Small:
    """What workers serve; a module of its own would import it in the parent as well."""
    metrics.declare_routes(["small"])
    return Small(config)


class Server:
    """The process, what it said, and requests to it."""

    def __init__(self, *command: str, data: Path, environ: dict[str, str] | None = None) -> None:
        self.data = data
        self._errors = data.parent / f"{data.name}.{time.monotonic_ns()}.log"
        clean = {key: value for key, value in os.environ.items() if not key.startswith("KHO_")}
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, env={**clean, **(environ or {})}
            )
        self.port = 0
        self.context: ssl.SSLContext | None = None

    def ready(self) -> str:
        """The line that says so; the port is known from then on."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        assert line, self.errors()
        self.port = int(line.split(" (")[0].rpartition(":")[2])
        return line

    def get(self, path: str, timeout: float = SECONDS) -> str:
        """The body of an answer, over a connection of its own."""
        with contextlib.closing(self.connection(timeout)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == 200
            return answer.read().decode()

    def connection(self, timeout: float = SECONDS) -> http.client.HTTPConnection:
        """Not yet connected; over TLS when there is a `context`."""
        if self.context is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        return http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=timeout, context=self.context
        )

    def pids(self, count: int = 2) -> list[int]:
        """The worker processes, once there are so many."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        wait_until(lambda: len(children.read_text().split()) == count)
        return [int(pid) for pid in children.read_text().split()]

    def errors(self) -> str:
        """All that it wrote to standard error."""
        return self._errors.read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        lines = (json.loads(line) for line in self.errors().splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == name]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the parent."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for the end; the exit code."""
        return self.process.wait(SECONDS)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def destroy(self) -> None:
        """Leave nothing behind: the workers die with their parent."""
        self.process.kill()
        self.process.wait(SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()


def wait_until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Ask until the answer is true."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


@contextlib.contextmanager
def serving(
    data: Path,
    *more: Mapping[str, object],
    environ: dict[str, str] | None = None,
    **settings: object,
) -> Iterator[Server]:
    """Start the small application on a free port with two workers, or with other `settings`."""
    values: dict[str, object] = {"data": data, "listen": "127.0.0.1:0", "workers": 2, **settings}
    for one in more:
        values |= one
    pairs = [f"{key}={value}" for key, value in values.items()]
    server = Server(
        sys.executable, "-m", "tests.server.serving", *pairs, data=data, environ=environ
    )
    try:
        yield server
    finally:
        server.destroy()


def main() -> None:
    """Be that process."""
    pairs = (one.partition("=") for one in sys.argv[1:])
    flags: dict[str, object] = {key: value for key, _, value in pairs}
    unknown = flags.keys() - SETTINGS.keys() - {"config"}
    assert not unknown, unknown
    try:
        code = serve(load(flags, os.environ), small, lambda: load(flags, os.environ))
    except CannotStart as error:
        sys.stderr.write(f"khod: {error}\n")
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()
