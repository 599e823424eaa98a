"""Content of the local store that no name reaches, deleted.

    names ─► manifests ─► what they reference              stays
         └─► the index one platform is from, not its rest  stays
    what refers to a manifest that stays (signatures)      stays
    all else                                               goes

It runs alone (local_store_lock): nobody is about to name what it deletes. Killed in the middle it
has deleted only what no name reaches.
"""

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kho.client.local.store import INDEX, LocalStore, named
from kho.client.stores.layout import digest_of, name_of
from kho.client.stores.layout_files import writing
from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import RegistryError
from kho.oci.manifest import Manifest, parse_manifest

# A part of a blob is worth going on with for so long.
PART_SECONDS: Final = 86_400.0
_FLAGS: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass
class Collected:
    """What went."""

    digests: list[Digest] = field(default_factory=list)
    parts: int = 0
    size: int = 0


async def collect(
    store: LocalStore,
    *,
    patience: float,
    unnamed: bool = False,
    part_seconds: float = PART_SECONDS,
) -> Collected | None:
    """Delete what nothing reaches, with `unnamed` also images that have no name.

    None, and nothing is deleted, where others are still at work after `patience` seconds.
    Raises LayoutBroken, LayoutUnwritable.
    """
    collected = Collected()
    if not store.folder.exists():
        return collected
    if not await store.lock.alone(patience):
        return None
    try:
        live = _unlist(store, unnamed=unnamed)
        with writing(store.folder):
            for path, digest in _blobs(store.folder):
                if digest not in live:
                    collected.size += _gone(path)
                    collected.digests.append(digest)
            for path in _parts(store.folder, time.time() - part_seconds):
                collected.size += _gone(path)
                collected.parts += 1
    finally:
        store.lock.release()
    return collected


def _gone(path: Path) -> int:
    size = path.lstat().st_size
    path.unlink()
    return size


def _unlist(store: LocalStore, *, unnamed: bool) -> set[Digest]:
    """Take out of the index what is not to stay there; the digests that stay."""
    entries = store.entries()
    kept = _Reach(store)
    subjects: list[tuple[dict[str, Any], Digest]] = []
    dropped = []
    for entry in entries:
        subject = kept.parsed(digest_of(entry))
        if name_of(entry) is not None:
            kept.add(digest_of(entry), (entry.get("annotations") or {}).get(INDEX))
        elif subject is not None and subject.subject is not None:
            subjects.append((entry, subject.subject))
        elif unnamed:
            dropped.append(entry)
        else:
            kept.add(digest_of(entry), None)
    waiting = subjects
    while fitting := [one for one in waiting if one[1] in kept.live]:
        for entry, _ in fitting:
            kept.add(digest_of(entry), None)
        waiting = [one for one in waiting if one not in fitting]
    dropped += [entry for entry, _ in waiting]
    if dropped:
        store.untag(named(entry) for entry in dropped)
    return kept.live


class _Reach:
    """What manifests lead to."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self.live: set[Digest] = set()

    def parsed(self, digest: Digest) -> Manifest | None:
        """None for what is not here, or damaged: what it led to cannot be had by it any more."""
        found = self._store.stored(digest)
        if found is None:
            return None
        with suppress(RegistryError):
            return parse_manifest(found.content, None)
        return None

    def add(self, digest: Digest, index: object) -> None:
        """A manifest with all below it; of its index the bytes alone."""
        if isinstance(index, str):
            with suppress(RegistryError):
                self.live.add(parse_digest(index))
        self._below(digest, set())

    def _below(self, digest: Digest, seen: set[Digest]) -> None:
        if digest in seen:
            return
        seen.add(digest)
        self.live.add(digest)
        found = self.parsed(digest)
        for one in () if found is None else found.references:
            if one.kind == "manifest":
                self._below(one.digest, seen)
            else:
                self.live.add(one.digest)


def _blobs(folder: Path) -> Iterator[tuple[Path, Digest]]:
    """Files that are named as content is; others are not ours."""
    for path in _files(folder / "blobs", nested=True):
        with suppress(RegistryError):
            yield path, parse_digest(f"{path.parent.name}:{path.name}")


def _parts(folder: Path, before: float) -> Iterator[Path]:
    """What killed processes have left: parts of blobs, and of files to be written whole."""
    for path in _files(folder / "ingest", nested=False):
        if path.lstat().st_mtime < before and _is_free(path):
            yield path
    for path in (*_files(folder, nested=False), *_files(folder / "blobs", nested=True)):
        if path.name.startswith(".") and path.lstat().st_mtime < before:
            yield path


def _is_free(path: Path) -> bool:
    """Whether nobody writes it: copies into `oci:` folders take no part in the store's lock."""
    with suppress(OSError):
        fd = os.open(path, _FLAGS)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(fd)
        return True
    return False


def _files(folder: Path, *, nested: bool) -> Iterable[Path]:
    if not folder.is_dir():
        return []
    found = folder.glob("*/*") if nested else folder.iterdir()
    return [path for path in found if not path.is_dir()]
