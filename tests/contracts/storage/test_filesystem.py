"""What the file system adds: the layout of registry:2, private modes, nothing outside the root."""

import asyncio
import errno
import os
import shutil
import stat
import threading
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from kho.oci.digest import Digest
from kho.oci.errors import InsufficientStorage, Unavailable
from kho.server.storage.files import as_registry_error
from kho.server.storage.filesystem import FilesystemStorage
from kho.server.storage.interface import BlobReader, UploadMissing
from kho.server.storage.quarantine import held_folder
from tests.contracts.storage.acts import LARGE, fetch, new_id, opened, pause, push, read, write


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FilesystemStorage]:
    """A storage in `tmp_path/store`."""
    storage = FilesystemStorage(tmp_path / "store")
    yield storage
    await storage.close()


def files(folder: Path) -> list[str]:
    """Every file below, by its path."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_the_layout_is_that_of_registry_2(
    store: FilesystemStorage, tmp_path: Path, algorithm: str
) -> None:
    digest = await push(store, b"content", algorithm)
    path = f"store/docker/registry/v2/blobs/{algorithm}/{digest.hex[:2]}/{digest.hex}/data"
    assert files(tmp_path) == [path]
    assert (tmp_path / path).read_bytes() == b"content"


async def test_one_file_however_often_pushed(store: FilesystemStorage, tmp_path: Path) -> None:
    for _ in range(3):
        await push(store, b"content")
    assert len(files(tmp_path)) == 1


async def test_files_and_folders_are_private(store: FilesystemStorage, tmp_path: Path) -> None:
    loose = os.umask(0)
    try:
        await push(store, b"content")
        writer = await store.create(new_id(), "sha256")
        await write(writer, b"unfinished")
        await pause(writer)
    finally:
        os.umask(loose)
    for path in (tmp_path / "store").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_the_root_itself_is_private(tmp_path: Path) -> None:
    loose = os.umask(0)
    try:
        FilesystemStorage(tmp_path / "store")
    finally:
        os.umask(loose)
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700


async def test_nothing_outside_the_root(store: FilesystemStorage, tmp_path: Path) -> None:
    before = files(tmp_path)
    writer = await store.create(new_id(), "sha256")
    await write(writer, LARGE)
    await pause(writer)
    await push(store, LARGE)
    await store.ping()
    touched = set(files(tmp_path)) - set(before)
    assert touched
    assert all(path.startswith("store/") for path in touched)
    assert os.listdir(tmp_path) == ["store"]


async def test_a_deleted_blob_leaves_no_folder(store: FilesystemStorage, tmp_path: Path) -> None:
    digest = await push(store, b"content")
    await store.delete(digest)
    assert files(tmp_path) == []
    assert not store.blob_path(digest).parent.exists()


async def test_a_file_cut_under_an_open_reader_is_an_error_not_an_end(
    store: FilesystemStorage,
) -> None:
    digest = await push(store, LARGE)
    reader = await opened(store, digest, len(LARGE))
    pieces = reader.chunks(0, len(LARGE))
    taken = [await anext(pieces)]
    os.truncate(store.blob_path(digest), 200_000)
    with pytest.raises(Unavailable):
        taken.extend([piece async for piece in pieces])
    assert taken == [LARGE[: len(taken[0])]]
    reader.close()


async def test_the_more_read_at_once_the_smaller_their_pieces(store: FilesystemStorage) -> None:
    digest = await push(store, LARGE)

    async def first_piece() -> int:
        reader = await opened(store, digest, len(LARGE))
        readers.append(reader)
        return len(await anext(reader.chunks(0, len(LARGE))))

    readers: list[BlobReader] = []
    sizes = [await first_piece() for _ in range(100)]
    assert (sizes[0], sizes[-1]) == (256 * 1024, 64 * 1024)
    assert sizes == sorted(sizes, reverse=True)
    for reader in readers:
        reader.close()
        reader.close()
    assert await first_piece() == sizes[0]
    readers[-1].close()


async def test_a_blob_that_is_not_in_memory_is_read_from_the_disk(
    store: FilesystemStorage,
) -> None:
    digest = await push(store, LARGE)
    fd = os.open(store.blob_path(digest), os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    reader = await opened(store, digest, len(LARGE))
    assert await read(reader) == LARGE
    reader.close()


async def test_a_session_whose_file_was_replaced_is_missed(store: FilesystemStorage) -> None:
    upload = new_id()
    writer = await store.create(upload, "sha256")
    await write(writer, b"four")
    checkpoint = await pause(writer)
    os.truncate(store.uploads / upload, 3)
    with pytest.raises(UploadMissing):
        await store.resume(upload, "sha256", checkpoint)


async def test_readers_and_writers_give_their_descriptors_back(store: FilesystemStorage) -> None:
    await push(store, b"warm up")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        digest = await push(store, b"content")
        assert await fetch(store, digest, 7) == b"content"
        assert await fetch(store, digest, 8) is None
        await pause(await store.create(new_id(), "sha256"))
    assert len(os.listdir("/proc/self/fd")) == before


async def test_deleting_while_others_push_the_same(store: FilesystemStorage) -> None:
    # A collector on another worker may take the folder between its making and the rename.
    async def collect() -> None:
        while True:
            await store.delete(Digest.of(b"content"))

    collectors = [asyncio.create_task(collect()) for _ in range(4)]
    for _ in range(60):
        await push(store, b"content")
    for collector in collectors:
        collector.cancel()
    await asyncio.gather(*collectors, return_exceptions=True)
    digest = await push(store, b"content")
    assert await fetch(store, digest, 7) == b"content"


async def test_folders_removed_by_hand_are_made_again(store: FilesystemStorage) -> None:
    await push(store, b"content")
    shutil.rmtree(store.blobs)
    digest = await push(store, b"content")
    assert await fetch(store, digest, 7) == b"content"


async def test_a_store_that_vanished_is_unavailable(store: FilesystemStorage) -> None:
    shutil.rmtree(store.root)
    with pytest.raises(Unavailable):
        await store.ping()
    with pytest.raises(Unavailable):
        await store.stale_uploads(0)


def test_a_root_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="ENOTDIR"):
        FilesystemStorage(tmp_path / "file" / "store")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_507(number: int) -> None:
    assert isinstance(as_registry_error(OSError(number, "full")), InsufficientStorage)


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.EACCES, None])
def test_another_failure_of_the_disk_is_503_and_names_no_path(number: int | None) -> None:
    error = as_registry_error(OSError(number, "why", "/secret/path"))
    assert isinstance(error, Unavailable)
    assert "secret" not in error.message


async def test_deleting_and_placing_wait_for_the_lock_of_the_folder(
    store: FilesystemStorage,
) -> None:
    digest = await push(store, b"content")
    await _waits(store, digest, store.delete(digest), there=True)
    digest = Digest.of(b"CONTENT")
    store.make_folder(store.blob_path(digest).parent)
    await _waits(store, digest, push(store, b"CONTENT"), there=False)


async def _waits(
    store: FilesystemStorage, digest: Digest, work: Coroutine[Any, Any, object], *, there: bool
) -> None:
    with held_folder(store.blob_path(digest).parent):
        task = asyncio.create_task(work)
        await asyncio.wait([task], timeout=0.2)
        assert not task.done()
        assert await store.holds(digest, 7) is there
    await task
    assert await store.holds(digest, 7) is not there


def test_a_folder_that_was_made_again_meanwhile_is_locked_itself(tmp_path: Path) -> None:
    folder = tmp_path / "blob"
    folder.mkdir()
    entered = threading.Event()
    found: list[bool] = []

    def wait_for_it() -> None:
        with held_folder(folder) as held:
            found.append(os.path.samestat(os.fstat(held), folder.stat()))
            entered.set()

    waiting = threading.Thread(target=wait_for_it)
    with held_folder(folder):
        waiting.start()
        assert not entered.wait(0.2)
        folder.rmdir()
        folder.mkdir()
    waiting.join(10)
    assert found == [True]
    folder.rmdir()
    with pytest.raises(FileNotFoundError), held_folder(folder):
        pass


async def test_what_else_is_in_a_blob_s_folder_stays(store: FilesystemStorage) -> None:
    digest = await push(store, b"content")
    note = store.blob_path(digest).with_name("note")
    note.touch()
    await store.delete(digest)
    assert os.listdir(note.parent) == ["note"]
    await push(store, b"content")
    assert await fetch(store, digest, 7) == b"content"
