"""A process of its own that pushes into a folder: to be killed or traced from outside.

python -m tests.contracts.storage.pusher whole FOLDER       one blob, from create to finish
python -m tests.contracts.storage.pusher endless FOLDER ID  prints a checkpoint, then writes on
"""

import asyncio
import sys
from pathlib import Path

from kho.oci.digest import Digest
from kho.server.storage.filesystem import FilesystemStorage
from tests.contracts.storage.acts import LARGE, new_id, write

ACKNOWLEDGED = 1_234_567


async def whole(folder: Path) -> None:
    """Push one blob with a checkpoint on the way."""
    storage = FilesystemStorage(folder)
    writer = await storage.create(new_id(), "sha256")
    await write(writer, LARGE[:ACKNOWLEDGED])
    await writer.checkpoint()
    await write(writer, LARGE[ACKNOWLEDGED:])
    await writer.finish(Digest.of(LARGE))
    await storage.close()


async def endless(folder: Path, upload: str) -> None:
    """Acknowledge a part, then write for ever."""
    storage = FilesystemStorage(folder)
    writer = await storage.create(upload, "sha256")
    await write(writer, LARGE[:ACKNOWLEDGED])
    checkpoint = await writer.checkpoint()
    assert checkpoint.state is not None
    print(checkpoint.size, checkpoint.state.hex(), flush=True)
    while True:
        await writer.write(b"not acknowledged" * 5000)


if __name__ == "__main__":
    command, folder, *rest = sys.argv[1:]
    asyncio.run(whole(Path(folder)) if command == "whole" else endless(Path(folder), *rest))
