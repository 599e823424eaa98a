"""F9: a crowd that pushes the same blob, manifest and tag at the same moment."""

import asyncio
import random
from collections import Counter
from typing import Final, Self

import aiohttp

from tests.faults.pushing import MANIFEST, digest_of
from tests.faults.victim import Victim

CLIENTS: Final = 200
REPOSITORY: Final = "crowd/same"
WAYS: Final = ("post", "put", "patch")
DOCUMENT: Final = (
    '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/octet-stream",'
    '"digest":"%s","size":%d},"layers":[]}'
)
LIMIT: Final = aiohttp.ClientTimeout(total=100)


class Crowd:
    """All clients, each with a connection of its own; `answers` counts what they were told."""

    def __init__(self, victim: Victim, seed: int) -> None:
        self.victim = victim
        self.random = random.Random(seed)
        self.answers: Counter[tuple[str, int]] = Counter()
        self._sessions: list[aiohttp.ClientSession] = []

    async def __aenter__(self) -> Self:
        for _ in range(CLIENTS):
            connector = aiohttp.TCPConnector(limit=1)
            session = aiohttp.ClientSession(self.victim.url, connector=connector, timeout=LIMIT)
            self._sessions.append(session)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(one.close() for one in self._sessions))

    async def round(self, size: int) -> None:
        """One blob, then one manifest of it, by everybody at once."""
        content = self.random.randbytes(size)
        digest = digest_of(content)
        document = (DOCUMENT % (MANIFEST, digest, size)).encode()
        pushes = (
            self._push(session, WAYS[number % len(WAYS)], content, digest)
            for number, session in enumerate(self._sessions)
        )
        await asyncio.gather(*pushes)
        at = f"/v2/{REPOSITORY}/manifests/same"
        await asyncio.gather(
            *(
                self._ask(session, "manifest", "PUT", at, document, Content_Type=MANIFEST)
                for session in self._sessions
            )
        )
        await self._look(content, document)

    async def _push(
        self, session: aiohttp.ClientSession, way: str, content: bytes, digest: str
    ) -> None:
        at = f"/v2/{REPOSITORY}/blobs/uploads/"
        if way == "post":
            await self._ask(session, "post", "POST", f"{at}?digest={digest}", content)
            return
        location = (await self._ask(session, "open", "POST", at))["Location"]
        rest = content
        if way == "patch":
            half = len(content) // 2
            for begin, end in ((0, half), (half, len(content))):
                marks = {"Content_Range": f"{begin}-{end - 1}"}
                await self._ask(session, "patch", "PATCH", location, content[begin:end], **marks)
            rest = b""
        await self._ask(session, f"{way}: put", "PUT", f"{location}?digest={digest}", rest)

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        what: str,
        method: str,
        path: str,
        body: bytes | None = None,
        **more: str,
    ) -> dict[str, str]:
        headers = {key.replace("_", "-"): value for key, value in more.items()}
        async with session.request(method, path, data=body, headers=headers) as answer:
            told = await answer.read()
            self.answers[what, answer.status] += 1
            assert answer.status < 500, (method, path, answer.status, told)
            return dict(answer.headers)

    async def _look(self, content: bytes, document: bytes) -> None:
        """One object, and everybody finds it."""
        digest = digest_of(content).removeprefix("sha256:")
        blobs = self.victim.data / "docker/registry/v2/blobs/sha256"
        assert [one.name for one in (blobs / digest[:2] / digest).iterdir()] == ["data"]
        assert list((self.victim.data / "uploads").iterdir()) == []
        session = self._sessions[0]
        for path, wanted in (
            (f"blobs/sha256:{digest}", content),
            (f"manifests/{digest_of(document)}", document),
            ("manifests/same", document),
        ):
            async with session.get(f"/v2/{REPOSITORY}/{path}") as answer:
                assert answer.status == 200
                assert await answer.read() == wanted
        async with session.get(f"/v2/{REPOSITORY}/tags/list") as answer:
            assert (await answer.json())["tags"] == ["same"]
