"""regctl: copy in, out and across, an index, referrers, tags, delete."""

from pathlib import Path

import pytest

from .access_log import assert_mounted, assert_nothing_uploaded
from .clients import Command, program
from .images import DebianImage
from .processes import refused, run
from .servers import Server
from .wire import digest_of, manifest, referrers_of


@pytest.fixture(scope="module")
def regctl(registry: Server) -> Command:
    """The program, told that the server speaks plain HTTP."""
    return (program("regctl"), "--host", f"reg={registry.host},tls=disabled")


@pytest.fixture(scope="module")
def pushed(regctl: Command, registry: Server, debian: DebianImage) -> str:
    """The image as regctl pushed it."""
    reference = f"{registry.host}/regctl/debian:1"
    run(*regctl, "image", "copy", f"ocidir://{debian.layout}", reference)
    return reference


def test_push_keeps_the_digest(
    pushed: str, regctl: Command, registry: Server, debian: DebianImage
) -> None:
    assert digest_of(registry, "regctl/debian", "1") == debian.digest
    assert run(*regctl, "image", "digest", pushed).strip() == debian.digest


def test_pull_brings_the_same_image(
    pushed: str, regctl: Command, debian: DebianImage, scratch: Path
) -> None:
    run(*regctl, "image", "copy", pushed, f"ocidir://{scratch}/pulled:1")
    assert debian.digest in (scratch / "pulled/index.json").read_text()


@pytest.mark.usefixtures("pushed")
def test_second_push_uploads_nothing(
    regctl: Command, registry: Server, debian: DebianImage
) -> None:
    mark = registry.log.mark()
    run(
        *regctl,
        "image",
        "copy",
        f"ocidir://{debian.layout}",
        f"{registry.host}/regctl/debian:again",
    )
    assert_nothing_uploaded(registry.log.since(mark))
    assert digest_of(registry, "regctl/debian", "again") == debian.digest


def test_copy_to_another_repository_mounts(
    pushed: str, regctl: Command, registry: Server, debian: DebianImage
) -> None:
    mark = registry.log.mark()
    run(*regctl, "image", "copy", pushed, f"{registry.host}/regctl/mounted:1")
    assert_mounted(registry.log.since(mark), "regctl/mounted", len(debian.layers))
    assert digest_of(registry, "regctl/mounted", "1") == debian.digest


def test_index_is_copied_whole(
    regctl: Command, registry: Server, debian: DebianImage, scratch: Path
) -> None:
    there = f"{registry.host}/regctl/multi:1"
    run(*regctl, "image", "copy", f"ocidir://{debian.multi_layout}", there)
    assert digest_of(registry, "regctl/multi", "1") == debian.index_digest
    run(*regctl, "image", "copy", there, f"ocidir://{scratch}/multi:1")
    assert debian.index_digest in (scratch / "multi/index.json").read_text()
    assert '"arm64"' in run(*regctl, "image", "inspect", "--platform=linux/arm64", there).replace(
        " ", ""
    )


def test_referrers_are_attached_and_discovered(
    regctl: Command, registry: Server, debian: DebianImage, scratch: Path
) -> None:
    subject = f"{registry.host}/regctl/subject:1"
    run(*regctl, "image", "copy", f"ocidir://{debian.layout}", subject)
    (scratch / "sbom").write_text("sbom")
    for kind in ("application/vnd.example.sbom", "application/vnd.example.signature"):
        run(
            *regctl,
            "artifact",
            "put",
            "--artifact-type",
            kind,
            "--subject",
            subject,
            "--file",
            scratch / "sbom",
        )
    of_kind = (
        "--filter-artifact-type",
        "application/vnd.example.sbom",
        "--format",
        "{{len .Descriptors}}",
    )
    assert run(*regctl, "artifact", "list", *of_kind, subject).strip() == "1"
    assert len(referrers_of(registry, "regctl/subject", debian.digest)) == 2
    assert manifest(registry, "regctl/subject", debian.digest.replace(":", "-")).status == 404, (
        "fallback tag was used"
    )


def test_delete_by_tag_leaves_the_image(
    regctl: Command, registry: Server, debian: DebianImage
) -> None:
    doomed = f"{registry.host}/regctl/untagged"
    run(*regctl, "image", "copy", f"ocidir://{debian.layout}", f"{doomed}:1")
    run(*regctl, "tag", "delete", f"{doomed}:1")
    assert manifest(registry, "regctl/untagged", "1").status == 404
    assert digest_of(registry, "regctl/untagged", debian.digest) == debian.digest


def test_delete_by_digest(regctl: Command, registry: Server, debian: DebianImage) -> None:
    doomed = f"{registry.host}/regctl/doomed"
    run(*regctl, "image", "copy", f"ocidir://{debian.layout}", f"{doomed}:1")
    run(*regctl, "manifest", "delete", f"{doomed}@{debian.digest}")
    refused(*regctl, "manifest", "get", f"{doomed}:1")
    assert manifest(registry, "regctl/doomed", debian.digest).status == 404


@pytest.mark.usefixtures("pushed")
def test_list_tags_and_repositories(regctl: Command, registry: Server) -> None:
    assert "1" in run(*regctl, "tag", "ls", f"{registry.host}/regctl/debian").split()
    assert "regctl/debian" in run(*regctl, "repo", "ls", registry.host).split()
