"""skopeo: copy in, copy out, copy across, an index, delete."""

from pathlib import Path

import pytest

from .access_log import assert_mounted, assert_nothing_uploaded
from .clients import Command, with_own_cache
from .images import DebianImage
from .processes import refused, run
from .servers import Server
from .wire import digest_of, manifest

_TO = ("--dest-tls-verify=false",)
_FROM = ("--src-tls-verify=false",)


@pytest.fixture(scope="module")
def skopeo(scratch: Path) -> Command:
    """The program."""
    return with_own_cache("skopeo", scratch / "cache")


@pytest.fixture(scope="module")
def pushed(skopeo: Command, registry: Server, debian: DebianImage) -> str:
    """The image as skopeo pushed it."""
    reference = f"docker://{registry.host}/skopeo/debian:1"
    run(*skopeo, "copy", *_TO, f"oci:{debian.layout}", reference)
    return reference


def test_push_keeps_the_digest(
    pushed: str, skopeo: Command, registry: Server, debian: DebianImage
) -> None:
    assert digest_of(registry, "skopeo/debian", "1") == debian.digest
    assert (
        run(*skopeo, "inspect", "--tls-verify=false", "--format={{.Digest}}", pushed).strip()
        == debian.digest
    )


def test_pull_brings_the_same_image(
    pushed: str, skopeo: Command, debian: DebianImage, scratch: Path
) -> None:
    run(*skopeo, "copy", *_FROM, pushed, f"oci:{scratch}/pulled:1")
    assert (
        run(*skopeo, "inspect", "--format={{.Digest}}", f"oci:{scratch}/pulled:1").strip()
        == debian.digest
    )


@pytest.mark.usefixtures("pushed")
def test_second_push_uploads_nothing(
    skopeo: Command, registry: Server, debian: DebianImage
) -> None:
    mark = registry.log.mark()
    run(
        *skopeo,
        "copy",
        *_TO,
        f"oci:{debian.layout}",
        f"docker://{registry.host}/skopeo/debian:again",
    )
    assert_nothing_uploaded(registry.log.since(mark))
    assert digest_of(registry, "skopeo/debian", "again") == debian.digest


def test_copy_to_another_repository_mounts(
    pushed: str, skopeo: Command, registry: Server, debian: DebianImage
) -> None:
    mark = registry.log.mark()
    run(*skopeo, "copy", *_FROM, *_TO, pushed, f"docker://{registry.host}/skopeo/mounted:1")
    assert_mounted(registry.log.since(mark), "skopeo/mounted", len(debian.layers))
    assert digest_of(registry, "skopeo/mounted", "1") == debian.digest


def test_index_is_copied_whole(
    skopeo: Command, registry: Server, debian: DebianImage, scratch: Path
) -> None:
    there = f"docker://{registry.host}/skopeo/multi:1"
    run(*skopeo, "copy", "--all", *_TO, f"oci:{debian.multi_layout}", there)
    assert digest_of(registry, "skopeo/multi", "1") == debian.index_digest
    run(*skopeo, "copy", "--all", *_FROM, there, f"oci:{scratch}/multi:1")
    assert debian.index_digest in (scratch / "multi/index.json").read_text()


def test_delete(skopeo: Command, registry: Server, debian: DebianImage) -> None:
    doomed = f"docker://{registry.host}/skopeo/doomed:1"
    run(*skopeo, "copy", *_TO, f"oci:{debian.layout}", doomed)
    run(*skopeo, "delete", "--tls-verify=false", doomed)
    assert "manifest unknown" in refused(*skopeo, "inspect", "--tls-verify=false", doomed)
    assert manifest(registry, "skopeo/doomed", debian.digest).status == 404


@pytest.mark.usefixtures("pushed")
def test_list_tags(skopeo: Command, registry: Server) -> None:
    assert '"1"' in run(
        *skopeo, "list-tags", "--tls-verify=false", f"docker://{registry.host}/skopeo/debian"
    )
