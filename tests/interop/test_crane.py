"""crane: push a layout, pull it, copy, an index, delete, list."""

from pathlib import Path

import pytest

from .access_log import assert_mounted, assert_nothing_uploaded
from .clients import program
from .images import DebianImage
from .processes import refused, run
from .servers import Server
from .wire import digest_of, manifest


@pytest.fixture(scope="module")
def crane() -> Path:
    """The program."""
    return program("crane")


@pytest.fixture(scope="module")
def pushed(crane: Path, registry: Server, debian: DebianImage) -> str:
    """The image as crane pushed it."""
    reference = f"{registry.host}/crane/debian:1"
    run(crane, "push", debian.folder / "debian", reference)
    return reference


def test_push_keeps_the_digest(
    pushed: str, crane: Path, registry: Server, debian: DebianImage
) -> None:
    assert digest_of(registry, "crane/debian", "1") == debian.digest
    assert run(crane, "digest", pushed).strip() == debian.digest


def test_pull_brings_the_same_image(
    pushed: str, crane: Path, debian: DebianImage, scratch: Path
) -> None:
    run(crane, "pull", "--format=oci", pushed, scratch / "pulled")
    assert debian.digest in (scratch / "pulled/index.json").read_text()


def test_every_layer_and_the_config_hash_to_what_the_manifest_says(
    pushed: str, crane: Path
) -> None:
    run(crane, "validate", "--remote", pushed)


@pytest.mark.usefixtures("pushed")
def test_second_push_uploads_nothing(crane: Path, registry: Server, debian: DebianImage) -> None:
    mark = registry.log.mark()
    run(crane, "push", debian.folder / "debian", f"{registry.host}/crane/debian:again")
    assert_nothing_uploaded(registry.log.since(mark))
    assert digest_of(registry, "crane/debian", "again") == debian.digest


def test_copy_to_another_repository_mounts(
    pushed: str, crane: Path, registry: Server, debian: DebianImage
) -> None:
    mark = registry.log.mark()
    run(crane, "copy", pushed, f"{registry.host}/crane/mounted:1")
    assert_mounted(registry.log.since(mark), "crane/mounted", len(debian.layers))
    run(crane, "validate", "--remote", f"{registry.host}/crane/mounted:1")


def test_index_is_copied_whole(crane: Path, registry: Server, debian: DebianImage) -> None:
    run(crane, "push", debian.folder / "multi", f"{registry.host}/crane/multi:1")
    run(crane, "copy", f"{registry.host}/crane/multi:1", f"{registry.host}/crane/multi-copy:1")
    for repository in ("crane/multi", "crane/multi-copy"):
        assert digest_of(registry, repository, "1") == debian.index_digest
        run(crane, "validate", "--remote", f"{registry.host}/{repository}:1")
    arm64 = run(crane, "config", "--platform=linux/arm64", f"{registry.host}/crane/multi-copy:1")
    assert '"arm64"' in arm64


def test_delete_by_digest(crane: Path, registry: Server, debian: DebianImage) -> None:
    doomed = f"{registry.host}/crane/doomed"
    run(crane, "push", debian.folder / "debian", f"{doomed}:1")
    run(crane, "delete", f"{doomed}@{debian.digest}")
    assert "MANIFEST_UNKNOWN" in refused(crane, "manifest", f"{doomed}:1")
    assert manifest(registry, "crane/doomed", debian.digest).status == 404


def test_delete_by_tag_leaves_the_image(crane: Path, registry: Server, debian: DebianImage) -> None:
    doomed = f"{registry.host}/crane/untagged"
    run(crane, "push", debian.folder / "debian", f"{doomed}:1")
    run(crane, "delete", f"{doomed}:1")
    assert manifest(registry, "crane/untagged", "1").status == 404
    assert digest_of(registry, "crane/untagged", debian.digest) == debian.digest


@pytest.mark.usefixtures("pushed")
def test_list_tags_and_catalog(crane: Path, registry: Server) -> None:
    assert "1" in run(crane, "ls", f"{registry.host}/crane/debian").split()
    assert "crane/debian" in run(crane, "catalog", registry.host).split()
