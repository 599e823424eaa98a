"""A registry on a disk of 8 MiB, in a mount namespace of its own; prints what it answered.

unshare -m python -m tests.faults.full_disk FOLDER
"""

import asyncio
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from kho.oci.digest import Digest
from kho.server.database.open import migrate
from tests.faults.victim import PROGRAM, environ
from tests.flows.client import pieces
from tests.flows.registry import Registry

MIB = 1024 * 1024
SMALL = bytes(range(256)) * (4 * 1024 * 2)
LARGE = bytes(16 * MIB)


def mount(disk: Path) -> None:
    """A disk that only this process sees."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], check=True)


def fill(path: Path) -> None:
    """Leave no byte free."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


async def fsck(registry: Registry) -> str:
    """What `khod fsck` finds in the data of a registry that has stopped; "" when all is well."""
    flags = ["--data", str(registry.folder), "--database", registry.config.database_url]
    command = [*PROGRAM, "fsck", *flags, "--min-age", "0"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environ(), capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else f"{done.returncode}: {done.stdout}{done.stderr}"


async def main(folder: Path) -> None:
    """Fill the disk in every way, and look whether the registry lives on."""
    disk = folder / "disk"
    disk.mkdir()
    mount(disk)
    database = f"sqlite:///{folder}/kho.db"
    migrate(database)
    registry = Registry(disk, database, {"log.access": False})
    client = await registry.start()
    digest = await registry.push_blob("a", SMALL)
    told: dict[str, object] = {}
    for way in ("patch", "put", "post"):
        location = await registry.open_upload("a")
        query = f"?digest={Digest.of(LARGE)}"
        body = pieces(LARGE, 100_000)
        if way == "patch":
            answer = await client.patch(location, body)
        elif way == "put":
            answer = await client.put(location + query, body)
        else:
            answer = await client.post(f"/v2/a/blobs/uploads/{query}", body)
        told[way] = [answer.status, answer.codes]
        told[f"pull after {way}"] = (await client.get(f"/v2/a/blobs/{digest}")).body == SMALL
        told[f"left by {way}"] = [one.stat().st_size for one in (disk / "uploads").iterdir()]
        told[f"push after {way}"] = (
            await client.post(f"/v2/a/blobs/uploads/?digest={Digest.of(SMALL[1:])}", SMALL[1:])
        ).status
        told[f"session after {way}"] = (await client.get(location)).status
    told["ready"] = (await client.get("/readyz")).status
    fill(disk / "ballast")
    told["ready on a full disk"] = (await client.get("/readyz")).status
    told["pull on a full disk"] = (await client.get(f"/v2/a/blobs/{digest}")).body == SMALL
    (disk / "ballast").unlink()
    told["ready again"] = (await client.get("/readyz")).status
    await registry.stop()
    told["fsck"] = await fsck(registry)
    print(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
