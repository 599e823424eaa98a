"""kill -9 in the middle of a write: the acknowledged part goes on, at once, elsewhere."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from kho.oci.digest import Digest
from kho.server.storage.filesystem import FilesystemStorage
from kho.server.storage.interface import Checkpoint
from tests.contracts.storage.acts import LARGE, fetch, new_id, write
from tests.contracts.storage.pusher import ACKNOWLEDGED

REPOSITORY = Path(__file__).parents[3]


def killed_while_writing(folder: Path, upload: str) -> Checkpoint:
    """Let a process acknowledge a part and write on, kill it, and tell what it acknowledged."""
    command = [sys.executable, "-m", "tests.contracts.storage.pusher", "endless"]
    with subprocess.Popen(
        [*command, folder, upload], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    ) as process:
        assert process.stdout is not None
        try:
            size, state = process.stdout.readline().split()
            file = folder / "uploads" / upload
            while file.stat().st_size <= int(size):
                time.sleep(0.001)
        finally:
            process.kill()
    return Checkpoint(int(size), bytes.fromhex(state))


@pytest.mark.parametrize("keeps_state", [True, False])
async def test_kill_9_then_resume_at_the_checkpoint(tmp_path: Path, keeps_state: bool) -> None:
    upload = new_id()
    checkpoint = killed_while_writing(tmp_path, upload)
    assert checkpoint.size == ACKNOWLEDGED
    assert (tmp_path / "uploads" / upload).stat().st_size > ACKNOWLEDGED
    if not keeps_state:
        checkpoint = Checkpoint(checkpoint.size, None)
    storage = FilesystemStorage(tmp_path)
    digest = Digest.of(LARGE)
    assert not await storage.holds(digest, len(LARGE))
    writer = await storage.resume(upload, "sha256", checkpoint)
    await write(writer, LARGE[ACKNOWLEDGED:])
    assert await writer.finish(digest) == len(LARGE)
    assert await fetch(storage, digest, len(LARGE)) == LARGE
    await storage.close()
