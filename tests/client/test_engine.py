"""Images of an engine: a fake one on a socket, which says what engines say."""

import asyncio
import json
import os
import tarfile
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
from aiohttp import web

from kho.client.archives.engine import Engine, EngineFailed, EngineSource, EngineTarget
from kho.client.errors import ClientError, Misused
from kho.client.progress import SILENT, Progress
from kho.client.stores.copy import Copier
from kho.client.stores.layout import Layout
from kho.client.stores.store import ContentMissing
from kho.oci.manifest import Descriptor
from kho.oci.reference import ReferenceInvalid
from kho.remote.errors import ContentMismatch, Unreachable

from .archives import old_docker
from .images import blob, content_of, image, manifest

PODMAN: dict[str, object] = {"ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}


class Lab:
    """An engine that keeps what it is sent, and answers as it is told."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "s"
        self.image = folder / "image.tar"
        self.sent = b""
        self.version: dict[str, object] = {"ApiVersion": "1.41"}
        self.answer: tuple[int, str] = (200, '{"stream":"Loaded image: x\\n"}\r\n')
        self.reads = True
        self.asked: list[str] = []

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/version", self._version)
        app.router.add_get("/images/get", self._get)
        app.router.add_post("/images/load", self._load)
        return app

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response(self.version)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.query["names"])
        if not self.image.exists():
            return web.json_response({"message": "reference does not exist"}, status=404)
        if self.answer[0] != 200:
            return web.Response(status=self.answer[0], text=self.answer[1])
        return web.FileResponse(self.image)

    async def _load(self, request: web.Request) -> web.Response:
        if self.reads:
            self.sent = await request.read()
        return web.Response(status=self.answer[0], text=self.answer[1])


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    made = Lab(tmp_path)
    runner = web.AppRunner(made.app())
    await runner.setup()
    await web.UnixSite(runner, str(made.socket)).start()
    yield made
    await runner.cleanup()


@pytest.fixture
def engine(lab: Lab) -> Engine:
    return Engine(f"unix://{lab.socket}")


class Counting(Progress):
    """How many bytes were read."""

    count = 0

    def advance(self, content: Descriptor, count: int) -> None:
        del content
        self.count += count


async def send(engine: Engine, layout: Layout, told: Progress = SILENT) -> None:
    async with EngineTarget(engine, "app:1") as target:
        await Copier(layout, target, told=told).copy("app:1", ["app:1"])


async def test_an_image_is_fetched(lab: Lab, engine: Engine, other: Layout) -> None:
    old_docker(lab.image, ("app:1", [b"layer"]))
    async with EngineSource(engine, "app:1") as source:
        copied = await Copier(source, other).copy(await source.only_name(), ["1"])
    assert await other.has_manifest(copied.digest)
    assert lab.asked == ["docker.io/library/app:1"]


async def test_an_image_is_sent(lab: Lab, engine: Engine, layout: Layout) -> None:
    made = await image(layout, "app:1", os.urandom(3_000_000))
    await send(engine, layout)
    with tarfile.open(fileobj=BytesIO(lab.sent)) as archive:
        names = archive.getnames()
        file = archive.extractfile("manifest.json")
        assert file
        (listed,) = json.load(file)
    assert f"blobs/sha256/{made.digest.hex}" in names
    assert {f"blobs/sha256/{name}" for name in content_of(layout.folder)} <= set(names)
    assert listed["RepoTags"] == ["docker.io/library/app:1"]


async def test_an_image_that_is_not_there(engine: Engine) -> None:
    with pytest.raises(ContentMissing, match="docker-daemon:app:1: the engine has no such image"):
        await EngineSource(engine, "app:1").only_name()


@pytest.mark.parametrize(
    "answer, words",
    [
        ((500, '{"message":"no space left\\non device"}'), r"no space left on device \(500\)"),
        ((500, "words"), r"words \(500\)"),
        (
            (200, '{"stream":"x"}\r\n{"errorDetail":{"message":"bad layer"},"error":"bad"}\r\n'),
            "says: bad layer",
        ),
        ((200, '{"error":"bad"}'), "says: bad"),
    ],
)
async def test_the_engine_says_no(
    lab: Lab, engine: Engine, layout: Layout, answer: tuple[int, str], words: str
) -> None:
    await image(layout, "app:1")
    lab.answer = answer
    with pytest.raises(EngineFailed, match=words):
        await send(engine, layout)


async def test_the_engine_answers_before_it_has_all(
    lab: Lab, engine: Engine, layout: Layout
) -> None:
    await image(layout, "app:1", os.urandom(60_000_000))
    lab.answer, lab.reads = (500, '{"message":"no space"}'), False
    told = Counting()
    with pytest.raises((EngineFailed, Unreachable)):
        await asyncio.wait_for(send(engine, layout, told), 20)
    assert told.count < 60_000_000


async def test_podman_has_other_words(lab: Lab, engine: Engine) -> None:
    lab.image.write_bytes(b"x")
    lab.answer = (500, '{"message":"app:1: image not known"}')
    with pytest.raises(ContentMissing, match="no such image"):
        await EngineSource(engine, "app:1").only_name()


async def test_the_engine_cannot_give_it(lab: Lab, engine: Engine) -> None:
    lab.image.write_bytes(b"x")
    lab.answer = (500, '{"message":"broken"}')
    with pytest.raises(EngineFailed, match=r"broken \(500\)"):
        await EngineSource(engine, "app:1").only_name()


async def test_damaged_content_is_not_loaded(lab: Lab, engine: Engine, layout: Layout) -> None:
    await image(layout, "app:1", b"layer")
    for path in (layout.folder / "blobs/sha256").iterdir():
        if path.read_bytes() == b"layer":
            path.write_bytes(b"wrong")
    with pytest.raises(ContentMismatch):
        await send(engine, layout)
    assert lab.sent == b""


async def test_zstd_needs_a_newer_engine(lab: Lab, engine: Engine, layout: Layout) -> None:
    config = blob(layout, b"{}", "application/vnd.oci.image.config.v1+json")
    layer = blob(layout, b"layer", "application/vnd.oci.image.layer.v1.tar+zstd")
    await layout.take_manifest(manifest({"config": config, "layers": [layer]}), "app:1")
    with pytest.raises(ClientError, match="zstd, which docker takes from version 23 on"):
        await send(engine, layout)
    newer: dict[str, object] = {"ApiVersion": "1.43"}
    for version in (newer, PODMAN):
        lab.version, lab.sent = version, b""
        await send(engine, layout)
        assert lab.sent


async def test_no_engine(tmp_path: Path, layout: Layout) -> None:
    await image(layout, "app:1")
    nobody = Engine(f"unix://{tmp_path}/nothing")
    with pytest.raises(Unreachable, match="no such socket; is docker running"):
        await EngineSource(nobody, "app:1").only_name()
    with pytest.raises(Unreachable, match="no such socket"):
        await send(nobody, layout)
    with pytest.raises(Unreachable, match="nobody listens"):
        await EngineSource(Engine("tcp://127.0.0.1:1"), "app:1").only_name()
    with pytest.raises(Misused, match="expected unix:///path or tcp://host:port"):
        await EngineSource(Engine("ssh://host"), "app:1").only_name()
    with pytest.raises(ReferenceInvalid):
        EngineSource(nobody, "A b")
