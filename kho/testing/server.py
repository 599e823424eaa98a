"""khod in a thread: the production application on Granian, on a free port of the loopback.

the test's thread        the server's thread, with its event loop
start() ───────────────► Granian ─► Faulty ─► the App of this test ─► SQLite, memory or files
reset() ───────────────► the App is closed, another one opens on an empty folder
push_image() ──────────► a client on the same loop
"""

import asyncio
import secrets
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar, cast

from kho.remote.credentials import Credential
from kho.testing.faults import App, Faults, Faulty, Message, Receive, Send

T = TypeVar("T")

START_SECONDS: Final = 30.0
_NAMELESS: Final = "khod-testing"


class Khod:
    """A registry that runs; `reset` empties it."""

    def __init__(self, folder: Path, settings: Mapping[str, object] | None = None) -> None:
        self.faults = Faults()
        self._folder = folder
        self._settings = dict(settings or {})
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="khod", daemon=True)
        self._number = 0
        self._app: Any = None
        self._credential: Credential | None = None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]

    @property
    def host(self) -> str:
        """Host and port, as an image reference begins."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """As a browser has it."""
        return f"http://{self.host}"

    # Life

    def start(self) -> Self:
        """Serve, empty."""
        from kho.server import telemetry  # noqa: PLC0415
        from kho.server.database.open import migrate  # noqa: PLC0415

        telemetry.configure("error", "text", access=False)
        self._folder.mkdir(parents=True, exist_ok=True)
        migrate(f"sqlite:///{self._folder}/empty.db")
        self._thread.start()
        self._await(self._open())
        self._await(self._serve())
        return self

    def stop(self) -> None:
        """End; nothing listens any more."""
        self._await(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)
        self._listener.close()
        self._loop.close()

    def reset(self) -> None:
        """Forget all content, users and faults."""
        self.faults.clear()
        self._await(self._close())
        self._await(self._open())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on the server's loop; the caller's thread waits, and must not be that loop's."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_SECONDS)

    async def _open(self) -> None:
        from kho.server.config import load  # noqa: PLC0415
        from kho.server.web.app import create_app  # noqa: PLC0415

        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir()
        shutil.copy(self._folder / "empty.db", folder / "kho.db")
        flags = {
            "data": str(folder),
            "database": f"sqlite:///{folder}/kho.db",
            "storage": "memory://",
            "workers": 1,
            **self._settings,
        }
        app = create_app(load(flags, {}))
        self._life = _Life(cast("App", app))
        await self._life.start()
        self._app = app

    async def _close(self) -> None:
        await self._life.stop()
        self._credential = None
        await asyncio.to_thread(shutil.rmtree, self._folder / str(self._number))

    async def _serve(self) -> None:
        from kho.testing.embedded import Embedded  # noqa: PLC0415

        async def current(scope: Any, receive: Receive, send: Send) -> None:  # noqa: ANN401
            await self._app(scope, _ordered(receive), send)

        self._server = Embedded(Faulty(current, self.faults), self._listener)
        self._serving = asyncio.create_task(self._server.serve())
        while not await asyncio.to_thread(_answers, self.port):
            if self._serving.done():
                await self._serving
            await asyncio.sleep(0.01)

    async def _end(self) -> None:
        self._server.stop()  # type: ignore[no-untyped-call]
        await self._serving
        await self._close()

    # Content and people

    def add_user(self, name: str, password: str, *, admin: bool = True) -> None:
        """Make an account, which may do all unless `admin` is false; who has none may do nothing.

        Passwords have eight characters at least.
        """
        self._await(self._add_user(name, password, admin))

    async def _add_user(self, name: str, password: str, admin: bool) -> None:
        from kho.server.index.people import accounts  # noqa: PLC0415

        resources = self._app.resources
        if self._credential is None:  # one of our own, to push with
            credential = Credential(_NAMELESS, secrets.token_urlsafe(16))
            await accounts.add(
                resources, credential.username, credential.secret, by="test", admin=True
            )
            self._credential = credential
        await accounts.add(resources, name, password, by="test", admin=admin)
        resources.memory.forget()

    def push_image(
        self,
        reference: str = "app:1",
        layers: tuple[bytes, ...] | list[bytes] = (),
        *,
        files: Mapping[str, bytes] | None = None,
        config: Mapping[str, object] | None = None,
    ) -> str:
        """Push an image of such layers, or of one with these files; its digest.

        `reference` is `name:tag`, with or without the host. No fault strikes it.
        """
        from kho.testing.images import push  # noqa: PLC0415

        async def find(_host: str, _repository: str | None) -> Credential | None:
            return self._credential

        name = reference.removeprefix(f"{self.host}/")
        with self.faults.suspended():
            return self._await(push(f"{self.host}/{name}", find, tuple(layers), files, config))


class _Life:
    """An application's lifespan, as a server runs it."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()

    async def start(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
        self._task = asyncio.ensure_future(self._app(scope, self._incoming.get, self._answers.put))
        await self._incoming.put({"type": "lifespan.startup"})
        answer = await self._answers.get()
        if answer["type"] != "lifespan.startup.complete":
            raise RuntimeError(f"khod cannot start: {answer.get('message')}")

    async def stop(self) -> None:
        await self._incoming.put({"type": "lifespan.shutdown"})
        await self._task


def _ordered(receive: Receive) -> Receive:
    """One call at a time: this Granian does not answer several in their order (ADR 0016)."""
    turn = asyncio.Lock()

    async def one() -> Message:
        async with turn:
            return await receive()

    return one


def _answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        line.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return line.recv(12) == b"HTTP/1.1 200"


@asynccontextmanager
async def running(folder: Path, **settings: object) -> AsyncIterator[Khod]:
    """A registry for an `async with`, where pytest is not what runs it."""
    khod = Khod(folder, settings)
    await asyncio.to_thread(khod.start)
    try:
        yield khod
    finally:
        await asyncio.to_thread(khod.stop)
