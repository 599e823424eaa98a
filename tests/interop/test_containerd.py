"""containerd by ctr: import, push, pull, run, an index; it has no remote delete."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .access_log import assert_mounted, assert_nothing_uploaded
from .clients import Command
from .engines import containerd_engine
from .images import MARKER, MARKER_TEXT, DebianImage
from .processes import run
from .servers import Server
from .wire import digest_of

_IMPORTED = "kho.invalid/import"


@pytest.fixture(scope="module")
def ctr(scratch: Path) -> Iterator[Command]:
    """ctr and a containerd of our own, with both Debian images imported by the fixture below."""
    with containerd_engine(scratch) as command:
        yield command


@pytest.fixture(scope="module")
def imported(ctr: Command, debian: DebianImage) -> str:
    """The base name under which `debian` and `multi` are in containerd's store."""
    for name in ("debian", "multi"):
        options = ("--all-platforms", "--no-unpack", "--base-name", _IMPORTED)
        run(*ctr, "images", "import", *options, debian.folder / f"{name}.tar")
    return _IMPORTED


@pytest.fixture(scope="module")
def pushed(ctr: Command, imported: str, registry: Server) -> str:
    """The image as containerd pushed it."""
    reference = f"{registry.host}/containerd/debian:1"
    run(*ctr, "images", "push", "--plain-http", reference, f"{imported}:debian")
    return reference


def test_push_keeps_the_digest(pushed: str, registry: Server, debian: DebianImage) -> None:
    assert digest_of(registry, "containerd/debian", pushed.rpartition(":")[2]) == debian.digest


def test_pull_brings_the_same_image_and_runs(
    ctr: Command, pushed: str, debian: DebianImage
) -> None:
    run(*ctr, "images", "pull", "--plain-http", "--snapshotter=overlayfs", pushed)
    assert debian.digest in run(*ctr, "images", "list", f"name=={pushed}")
    printed = run(
        *ctr, "run", "--rm", "--snapshotter=overlayfs", pushed, "interop-run", "cat", MARKER
    )
    assert printed.strip() == MARKER_TEXT


@pytest.mark.usefixtures("pushed")
def test_second_push_uploads_nothing(
    ctr: Command, imported: str, registry: Server, debian: DebianImage
) -> None:
    mark = registry.log.mark()
    again = f"{registry.host}/containerd/debian:again"
    run(*ctr, "images", "push", "--plain-http", again, f"{imported}:debian")
    assert_nothing_uploaded(registry.log.since(mark))
    assert digest_of(registry, "containerd/debian", "again") == debian.digest


def test_push_of_a_pulled_image_to_another_repository_mounts(
    ctr: Command, pushed: str, registry: Server, debian: DebianImage
) -> None:
    run(*ctr, "images", "pull", "--plain-http", "--snapshotter=overlayfs", pushed)
    mark = registry.log.mark()
    run(*ctr, "images", "push", "--plain-http", f"{registry.host}/containerd/mounted:1", pushed)
    assert_mounted(registry.log.since(mark), "containerd/mounted", len(debian.layers))
    assert digest_of(registry, "containerd/mounted", "1") == debian.digest


def test_index_is_copied_whole(
    ctr: Command, imported: str, registry: Server, debian: DebianImage
) -> None:
    there = f"{registry.host}/containerd/multi:1"
    run(*ctr, "images", "push", "--plain-http", there, f"{imported}:multi")
    assert digest_of(registry, "containerd/multi", "1") == debian.index_digest
    run(*ctr, "images", "pull", "--plain-http", "--all-platforms", there)
    platforms = run(*ctr, "images", "list", f"name=={there}")
    assert debian.index_digest in platforms
    assert "linux/arm64" in platforms
