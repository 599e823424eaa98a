"""A crowd of pushers, in a process of its own: small images for so many seconds; prints how many.

python -m tests.faults.push_crowd PORT PUSHERS REPOSITORIES SECONDS
"""

import asyncio
import os
import sys
import time
from typing import Final

import aiohttp

from kho.oci.digest import Digest
from tests.oci.samples import encode, image

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"


class Pusher:
    """Pushes one image after the other into its repository."""

    def __init__(self, number: int, repository: str) -> None:
        self._at = f"/v2/{repository}"
        self._tag = f"t{number}"
        self._number = number
        self.images = 0

    async def work(self, session: aiohttp.ClientSession, until: float) -> None:
        """A layer and a manifest at a time."""
        config = Digest.of(b"{}")
        await self._expect(session, "POST", f"{self._at}/blobs/uploads/?digest={config}", b"{}", {})
        while time.monotonic() < until:
            layer = os.urandom(1024)
            digest = Digest.of(layer)
            path = f"{self._at}/blobs/uploads/?digest={digest}"
            await self._expect(session, "POST", path, layer, {})
            listed = {"mediaType": "application/octet-stream", "digest": str(digest), "size": 1024}
            content = encode(image() | {"layers": [listed]})
            path = f"{self._at}/manifests/{self._tag}"
            await self._expect(session, "PUT", path, content, {"Content-Type": MANIFEST})
            self.images += time.monotonic() < until

    async def _expect(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str],
    ) -> None:
        async with session.request(method, path, data=body, headers=headers) as answer:
            assert answer.status == 201, (path, answer.status, await answer.read())


async def main(port: int, pushers: int, repositories: int, seconds: float) -> None:
    """All of them at once."""
    crowd = [Pusher(one, f"crowd/r{one % repositories}") for one in range(pushers)]
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:
        until = time.monotonic() + seconds
        await asyncio.gather(*(one.work(session, until) for one in crowd))
    sys.stdout.write(f"{sum(one.images for one in crowd)}\n")


if __name__ == "__main__":
    port, pushers, repositories = map(int, sys.argv[1:4])
    asyncio.run(main(port, pushers, repositories, float(sys.argv[4])))
