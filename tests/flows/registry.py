"""A registry on a folder of its own, and what users do with it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from kho.oci.digest import Digest
from kho.server.config import Config, load
from kho.server.web.app import App
from kho.server.web.request import Message
from tests.flows.client import Answer, Client
from tests.oci.samples import Json, encode, image


class Worker:
    """One application, started and stopped as a server does."""

    def __init__(self, config: Config) -> None:
        self.app = App(config)
        self.client = Client(self.app)
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Self:
        """Open what the application stands on."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
        self._task = asyncio.create_task(self.app(scope, self._incoming.get, self._answers.put))
        await self._incoming.put({"type": "lifespan.startup"})
        answer = await self._answers.get()
        assert answer["type"] == "lifespan.startup.complete", answer
        return self

    async def stop(self) -> None:
        """Close it."""
        if self._task is None:
            return
        await self._incoming.put({"type": "lifespan.shutdown"})
        await self._task
        self._task = None


class Registry:
    """Workers on one folder and database."""

    def __init__(self, folder: Path, database_url: str, settings: Mapping[str, object]) -> None:
        flags = {"data": str(folder), "database": database_url, **settings}
        self.config = load(flags, {})
        self.folder = folder
        self.workers: list[Worker] = []

    @property
    def client(self) -> Client:
        """Requests to the newest worker."""
        return self.workers[-1].client

    async def start(self) -> Client:
        """Start one worker more."""
        self.workers.append(await Worker(self.config).start())
        return self.client

    async def stop(self) -> None:
        """Stop all workers."""
        for worker in self.workers:
            await worker.stop()

    async def restart(self) -> None:
        """All workers end, a new one starts on the same data."""
        await self.stop()
        await self.start()

    def blob_file(self, digest: Digest | str) -> Path:
        """Where the bytes are."""
        algorithm, _, value = str(digest).partition(":")
        blobs = self.folder / "docker/registry/v2/blobs"
        return blobs / algorithm / value[:2] / value / "data"

    async def open_upload(self, name: str) -> str:
        """Start a session; its location."""
        answer = await self.client.post(f"/v2/{name}/blobs/uploads/")
        assert answer.status == 202, answer
        return answer["Location"]

    async def push_blob(self, name: str, content: bytes, algorithm: str = "sha256") -> Digest:
        """Push a blob, whole."""
        digest = Digest.of(content, algorithm)
        answer = await self.client.post(f"/v2/{name}/blobs/uploads/?digest={digest}", content)
        assert answer.status == 201, answer
        return digest

    async def put_manifest(self, name: str, reference: object, value: Json | bytes) -> Answer:
        """PUT a manifest with the type it says it has."""
        content = value if isinstance(value, bytes) else encode(value)
        return await self.client.put(f"/v2/{name}/manifests/{reference}", content)

    async def push_manifest(self, name: str, reference: object, value: Json | bytes) -> Digest:
        """PUT a manifest that must be taken."""
        answer = await self.put_manifest(name, reference, value)
        assert answer.status == 201, answer
        return Digest.parse(answer["Docker-Content-Digest"])

    async def push_image(self, name: str, tag: str, *layers: bytes, **more: object) -> Digest:
        """Push config, layers and manifest."""
        for content in (b"{}", *layers):
            await self.push_blob(name, content)
        return await self.push_manifest(name, tag, image(b"{}", *layers, **more))
