"""A client that pushes, pulls, moves tags and deletes, and keeps what it was told."""

import asyncio
import hashlib
import json
import random
from dataclasses import dataclass
from typing import Final

import aiohttp

from tests.faults.memory import HERE, Key, Memory

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
SHARED: Final = "kills/shared"
LARGEST: Final = 300_000
TAGS: Final = 4
LAYERS_KEPT: Final = 20
MANIFESTS_KEPT: Final = 200


class Broken(Exception):
    """The connection broke, or the server was not able: nobody knows what became of the request."""


class Violation(AssertionError):
    """The server broke a promise."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back whole."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Upload:
    """A session that was cut: what was sent at most, and what was acknowledged."""

    location: str
    content: bytes
    sent: int = 0
    acknowledged: int = 0
    finishing: bool = False


def digest_of(content: bytes) -> str:
    """The digest of bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def offset_in(answer: Answer) -> int:
    """The offset that a session reports; `0-0` is an empty one."""
    last = int(answer.headers["range"].removeprefix("0-"))
    return last + 1 if last else 0


class Client:
    """One client with a repository of its own beside the one that all share."""

    def __init__(self, number: int, seed: int, memory: Memory) -> None:
        self.repository = f"kills/of-{number}"
        self.random = random.Random(f"{seed}/{number}")
        self.memory = memory
        self.cut: Upload | None = None
        self.resumed = 0
        self.layers: list[tuple[str, int]] = []
        self.shared_layers: list[tuple[str, int]] = []
        self.loose: list[str] = []
        self.manifests: list[bytes] = []
        self._count = 0
        self._session: aiohttp.ClientSession
        self._stop: asyncio.Event

    async def work(self, session: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        """Go on until told to stop, or until the server is gone."""
        self.begin(session, stop)
        try:
            if self.cut is not None:
                await self.resume(self.cut)
            while not stop.is_set():
                await self._act()
        except Broken:
            return

    def begin(self, session: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        """Use these connections; `stop` is set when something was killed."""
        self._session, self._stop = session, stop

    async def _act(self) -> None:
        acts = [self._image, self._manifest, self._shared, self._pull, self._move, self._delete]
        (act,) = self.random.choices(acts, weights=[3, 9, 5, 4, 2, 2])
        await act()

    async def ask(self, method: str, path: str, body: bytes | None = None, **more: str) -> Answer:
        """One request; raise Broken when it cannot be known what became of it."""
        headers = {key.replace("_", "-"): value for key, value in more.items()}
        try:
            async with self._session.request(method, path, data=body, headers=headers) as answer:
                found = {key.lower(): value for key, value in answer.headers.items()}
                told = Answer(answer.status, found, await answer.read())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Broken from error
        if told.status == 503:
            self.memory.busy += 1
            raise Broken
        if told.status >= 500:
            raise Violation(f"{method} {path}: {told.status} {told.body!r}")
        return told

    async def _write(
        self,
        values: dict[Key, str | None],
        expected: int,
        method: str,
        path: str,
        body: bytes | None = None,
        **more: str,
    ) -> None:
        with self.memory.writing(values):
            answer = await self.ask(method, path, body, **more)
            if answer.status == expected:
                return
            if answer.status == 404 and self._stop.is_set() and method in {"DELETE", "PUT"}:
                raise Broken  # aiohttp may have sent it twice: a first time to the worker that died
            raise Violation(f"{method} {path}: {answer.status} {answer.body!r}")

    async def push_blob(self, repository: str, size: int, way: str | None = None) -> str:
        """Push a new blob: `post` in one request, `put` in two, `patch` in chunks."""
        content = self.random.randbytes(size)
        digest = digest_of(content)
        key: Key = (repository, "blob", digest)
        start = f"/v2/{repository}/blobs/uploads/"
        way = way or self.random.choice(["post", "put", "patch", "patch"])
        if way == "post":
            await self._write({key: HERE}, 201, "POST", f"{start}?digest={digest}", content)
            return digest
        opened = await self.ask("POST", start)
        if opened.status != 202:
            raise Violation(f"POST {start}: {opened.status} {opened.body!r}")
        upload = self.cut = Upload(opened.headers["location"], content)
        if way == "patch":
            await self._append(upload)
        await self._finish(key, upload)
        self.cut = None
        return digest

    async def _append(self, upload: Upload) -> None:
        """Send the rest in chunks; each is acknowledged with the offset."""
        size = len(upload.content)
        while upload.acknowledged < size:
            begin = upload.acknowledged
            end = min(size, begin + self.random.randint(2, max(2, size // 2)))
            upload.sent = max(upload.sent, end)
            chunk = upload.content[begin:end]
            marks = {"Content_Range": f"{begin}-{end - 1}"}
            answer = await self.ask("PATCH", upload.location, chunk, **marks)
            if answer.status != 202 or offset_in(answer) != end:
                raise Violation(f"PATCH {marks}: {answer.status} {answer.headers} {answer.body!r}")
            upload.acknowledged = end

    async def _finish(self, key: Key, upload: Upload) -> None:
        upload.finishing = True
        rest = upload.content[upload.acknowledged :]
        upload.sent = len(upload.content)
        path = f"{upload.location}?digest={digest_of(upload.content)}"
        await self._write({key: HERE}, 201, "PUT", path, rest)

    async def resume(self, upload: Upload) -> None:
        """Ask for the offset, which must be true, and go on from there."""
        digest = digest_of(upload.content)
        key: Key = (self.repository, "blob", digest)
        if upload.location.startswith(f"/v2/{SHARED}/"):
            key = (SHARED, "blob", digest)
        answer = await self.ask("GET", upload.location)
        if answer.status == 404:
            # Only a PUT ends a session, and then the blob is there.
            there = await self.ask("HEAD", f"/v2/{key[0]}/blobs/{digest}")
            if not upload.finishing or there.status != 200:
                raise Violation(f"{upload.location} is gone, its blob answers {there.status}")
        else:
            offset = offset_in(answer)
            if not upload.acknowledged <= offset <= upload.sent:
                known = f"acknowledged {upload.acknowledged}, sent {upload.sent}"
                raise Violation(f"{upload.location} reports {offset}; {known}")
            upload.acknowledged = offset
            await self._append(upload)
            await self._finish(key, upload)
        self.resumed += 1
        self.cut = None

    async def _image(self) -> None:
        """A new layer and a manifest of it."""
        size = int(2 ** self.random.uniform(6, 18.2))
        digest = await self.push_blob(self.repository, size)
        self.layers = [*self.layers[-LAYERS_KEPT:], (digest, size)]
        if self.random.random() < 0.3:
            self.loose.append(await self.push_blob(self.repository, 100))
        await self._manifest()

    async def _layer(self, repository: str, layers: list[tuple[str, int]]) -> tuple[str, int]:
        if not layers:
            layers.append((await self.push_blob(repository, 1000), 1000))
        return self.random.choice(layers)

    def document(self, layer: tuple[str, int]) -> bytes:
        """A manifest that no one has pushed before."""
        self._count += 1
        described = {"mediaType": "application/octet-stream", "digest": layer[0], "size": layer[1]}
        return json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": described,
                "layers": [described],
                "annotations": {"of": self.repository, "number": str(self._count)},
            }
        ).encode()

    async def push_manifest(self, repository: str, content: bytes, tag: str | None) -> None:
        """Push a manifest by tag, or by its digest."""
        digest = digest_of(content)
        values: dict[Key, str | None] = {(repository, "manifest", digest): HERE}
        if tag is not None:
            values[repository, "tag", tag] = digest
        path = f"/v2/{repository}/manifests/{tag or digest}"
        await self._write(values, 201, "PUT", path, content, Content_Type=MANIFEST)

    async def _manifest(self) -> None:
        """A new manifest of a layer that is there, by tag or by digest."""
        content = self.document(await self._layer(self.repository, self.layers))
        tag = self.random.choice([None, *range(TAGS)])
        await self.push_manifest(self.repository, content, None if tag is None else f"t{tag}")
        self.manifests = [*self.manifests[-MANIFESTS_KEPT:], content]

    async def _shared(self) -> None:
        """A new manifest in the repository of all, under a tag that all move."""
        content = self.document(await self._layer(SHARED, self.shared_layers))
        await self.push_manifest(SHARED, content, f"t{self.random.randrange(TAGS)}")

    async def _move(self) -> None:
        """Point a tag at a manifest of before."""
        if self.manifests:
            tag = f"t{self.random.randrange(TAGS)}"
            await self.push_manifest(self.repository, self.random.choice(self.manifests), tag)

    async def _pull(self) -> None:
        """Read back what is certainly there."""
        if not self.manifests:
            return
        content = self.random.choice(self.manifests)
        at = f"/v2/{self.repository}"
        answer = await self.ask("GET", f"{at}/manifests/{digest_of(content)}", Accept=MANIFEST)
        if answer.status != 200 or answer.body != content:
            raise Violation(f"GET {at} {digest_of(content)}: {answer}")
        layer = json.loads(content)["layers"][0]["digest"]
        answer = await self.ask("GET", f"{at}/blobs/{layer}")
        if answer.status != 200 or digest_of(answer.body) != layer:
            raise Violation(f"GET {at} {layer}: {answer.status}, {len(answer.body)} bytes")

    async def _delete(self) -> None:
        """Delete a tag, a manifest with the tags on it, or a blob that nothing needs."""
        at = f"/v2/{self.repository}"
        what = self.random.choice(["tag", "manifest", "blob"])
        if what == "tag":
            tag = f"t{self.random.randrange(TAGS)}"
            key: Key = (self.repository, "tag", tag)
            if self.memory.value(key) is not None:
                await self._write({key: None}, 202, "DELETE", f"{at}/manifests/{tag}")
        elif what == "blob" and self.loose:
            digest = self.loose.pop(0)
            gone: dict[Key, str | None] = {(self.repository, "blob", digest): None}
            await self._write(gone, 202, "DELETE", f"{at}/blobs/{digest}")
        elif what == "manifest" and self.manifests:
            content = self.manifests.pop(self.random.randrange(len(self.manifests)))
            digest = digest_of(content)
            self.manifests = [one for one in self.manifests if one != content]
            values: dict[Key, str | None] = {(self.repository, "manifest", digest): None}
            tags = [(self.repository, "tag", f"t{number}") for number in range(TAGS)]
            values |= {key: None for key in tags if self.memory.value(key) == digest}
            await self._write(values, 202, "DELETE", f"{at}/manifests/{digest}")
