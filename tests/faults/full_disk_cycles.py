"""A registry with rows and bytes on one small disk that is filled and emptied again and again.

unshare -m python -m tests.faults.full_disk_cycles KIND FOLDER CYCLES
"""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from kho.oci.digest import Digest
from kho.server import telemetry
from kho.server.database.drivers.reserve import PAUSE_SECONDS
from kho.server.database.open import migrate
from tests.faults.full_disk import fill, fsck
from tests.flows.registry import Registry
from tests.oci.samples import encode, image

MIB = 1024 * 1024
KEPT = bytes(range(256)) * (4 * 1024)
KEPT_DIGEST = Digest.of(KEPT)
AFTER = Digest.of(b"after")
INODES = 200


def mount(kind: str, folder: Path) -> Path:
    """A disk with little room (`tmpfs`, `ext4`) or few inodes (`inodes`), seen only from here."""
    disk = folder / "disk"
    disk.mkdir()
    if kind == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], check=True)
        return disk
    file = folder / "ext4"
    file.touch()
    os.truncate(file, 40 * MIB)
    few = ["-N", str(INODES)] if kind == "inodes" else []
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", *few, file], check=True)
    subprocess.run(["mount", "-o", "loop", file, disk], check=True)
    return disk


class Ballast:
    """What occupies the disk: one large file, or many empty ones."""

    def __init__(self, kind: str, disk: Path) -> None:
        self.folder = disk / "ballast"
        self.folder.mkdir()
        self._inodes = kind == "inodes"

    def fill(self) -> None:
        """Until nothing fits."""
        if not self._inodes:
            fill(self.folder / "bytes")
            return
        for number in range(INODES * 2):
            try:
                (self.folder / str(number)).touch()
            except OSError:
                return

    def drop(self) -> None:
        """There is room again."""
        for one in self.folder.iterdir():
            one.unlink()


class Cycles:
    """What is told of all cycles together: how often each answer came."""

    def __init__(self, registry: Registry, ballast: Ballast, rows: int) -> None:
        self.registry = registry
        self.ballast = ballast
        self.rows = rows
        self.told: Counter[str] = Counter()
        self._pushing, self._other = (worker.client for worker in registry.workers)

    def tell(self, what: str, answer: object) -> None:
        """Count one answer."""
        self.told[f"{what}: {answer}"] += 1

    async def run(self, number: int) -> None:
        """Store something, fill the disk, push, pull, delete by another worker, make room, push."""
        client, registry, other = self._pushing, self.registry, self._other
        layer = b"layer %d" % (number % 5)
        digest = await registry.push_image("a", "t", KEPT, layer)
        session = await registry.open_upload("a")
        assert (await client.patch(session, bytes(1000))).status == 202
        self.ballast.fill()
        self.tell("ready", (await client.get("/readyz")).status)
        await self._push_bytes()
        pushed = await self._push_rows(number)
        self.tell("pull", (await client.get(f"/v2/a/blobs/{KEPT_DIGEST}")).body == KEPT)
        self.tell("pull of a manifest", (await client.get("/v2/a/manifests/t")).status)
        self.tell("cancel", (await client.delete(session)).status)
        self.tell("delete of a tag", (await other.delete("/v2/a/manifests/t")).status)
        self.tell("delete of a manifest", (await other.delete(f"/v2/a/manifests/{digest}")).status)
        blob = f"/v2/a/blobs/{Digest.of(layer)}"
        self.tell("delete of a blob", (await client.delete(blob)).status)
        for tag in pushed:
            self.tell("delete of a manifest", (await other.delete(tag)).status)
        self.tell("after it", (await client.get(blob)).status)
        self.tell("pull", (await client.get(f"/v2/a/blobs/{KEPT_DIGEST}")).body == KEPT)
        self.ballast.drop()
        self.tell("ready again", (await client.get("/readyz")).status)
        await registry.push_blob("a", b"after")
        await asyncio.sleep(PAUSE_SECONDS)
        for worker in registry.workers:  # whoever gave it takes it back
            await worker.client.post("/v2/a/blobs/uploads/?digest=" + str(AFTER), b"after")
        reserve = registry.folder / "kho.db.reserve"
        self.tell("reserve", await asyncio.to_thread(lambda: reserve.stat().st_size))

    async def _push_bytes(self) -> None:
        """They do not fit."""
        large = os.urandom(2 * MIB)
        target = f"/v2/a/blobs/uploads/?digest={Digest.of(large)}"
        self.tell("push of a blob", (await self._pushing.post(target, large)).status)

    async def _push_rows(self, number: int) -> list[str]:
        """Rows until SQLite itself finds no room; where they are."""
        pushed = []
        for more in range(self.rows):
            note = {"annotations": {"a": f"{number} {more}" + "x" * 200_000}}
            target = f"/v2/b/manifests/m{more}"
            answer = await self._pushing.put(target, encode(image(b"{}", **note)))
            if answer.status != 201:
                self.tell("push of a manifest", answer.status)
                break
            pushed.append(f"/v2/b/manifests/{answer['Docker-Content-Digest']}")
        return pushed


async def main(kind: str, folder: Path, cycles: int) -> None:
    """Run the cycles and print what was answered."""
    telemetry.configure("error", "json", access=False)
    disk = mount(kind, folder)
    database = f"sqlite:///{disk}/kho.db"
    migrate(database)
    registry = Registry(disk, database, {})
    ballast = Ballast(kind, disk)
    await registry.start()
    await registry.start()
    await registry.push_blob("b", b"{}")
    run = Cycles(registry, ballast, 3 if kind == "inodes" else 200)
    descriptors = []
    for number in range(cycles):
        await run.run(number)
        descriptors.append(len(os.listdir("/proc/self/fd")))
    left = len(list((disk / "uploads").iterdir()))
    await registry.stop()
    more = {"left": left, "descriptors": descriptors[-1] - descriptors[0]}
    print(json.dumps({**run.told, **more, "fsck": await fsck(registry)}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
