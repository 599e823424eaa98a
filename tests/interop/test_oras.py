"""oras: images and artifacts in and out, mount, an index, referrers, delete."""

import json
from pathlib import Path

import pytest

from .access_log import assert_mounted, assert_nothing_uploaded
from .clients import program
from .images import DebianImage
from .processes import refused, run
from .servers import Server
from .wire import digest_of, manifest, referrers_of

_SBOM = "application/vnd.example.sbom"


@pytest.fixture(scope="module")
def oras() -> Path:
    """The program."""
    return program("oras")


@pytest.fixture(scope="module")
def pushed(oras: Path, registry: Server, debian: DebianImage) -> str:
    """The image as oras pushed it."""
    reference = f"{registry.host}/oras/debian:1"
    _push(oras, debian.layout, reference)
    return reference


def _push(oras: Path, layout: str, reference: str) -> None:
    run(oras, "copy", "--from-oci-layout", layout, "--to-plain-http", reference)


def test_push_keeps_the_digest(
    pushed: str, oras: Path, registry: Server, debian: DebianImage
) -> None:
    assert digest_of(registry, "oras/debian", "1") == debian.digest
    assert run(oras, "resolve", "--plain-http", pushed).strip() == debian.digest


def test_pull_brings_the_same_image(
    pushed: str, oras: Path, debian: DebianImage, scratch: Path
) -> None:
    run(oras, "copy", "--from-plain-http", pushed, "--to-oci-layout", f"{scratch}/pulled:1")
    assert debian.digest in (scratch / "pulled/index.json").read_text()


@pytest.mark.usefixtures("pushed")
def test_second_push_uploads_nothing(oras: Path, registry: Server, debian: DebianImage) -> None:
    mark = registry.log.mark()
    _push(oras, debian.layout, f"{registry.host}/oras/debian:again")
    assert_nothing_uploaded(registry.log.since(mark))
    assert digest_of(registry, "oras/debian", "again") == debian.digest


def test_copy_to_another_repository_mounts(
    pushed: str, oras: Path, registry: Server, debian: DebianImage
) -> None:
    mark = registry.log.mark()
    run(
        oras,
        "copy",
        "--from-plain-http",
        pushed,
        "--to-plain-http",
        f"{registry.host}/oras/mounted:1",
    )
    assert_mounted(registry.log.since(mark), "oras/mounted", len(debian.layers))
    assert digest_of(registry, "oras/mounted", "1") == debian.digest


def test_index_is_copied_whole(
    oras: Path, registry: Server, debian: DebianImage, scratch: Path
) -> None:
    reference = f"{registry.host}/oras/multi:1"
    _push(oras, debian.multi_layout, reference)
    assert digest_of(registry, "oras/multi", "1") == debian.index_digest
    run(oras, "copy", "--from-plain-http", reference, "--to-oci-layout", f"{scratch}/multi:1")
    assert debian.index_digest in (scratch / "multi/index.json").read_text()


def test_artifact_goes_in_and_out(oras: Path, registry: Server, scratch: Path) -> None:
    (scratch / "report.txt").write_text("all is well\n")
    reference = f"{registry.host}/oras/artifact:1"
    run(
        oras,
        "push",
        "--plain-http",
        "--artifact-type=application/vnd.example",
        reference,
        "report.txt",
        cwd=scratch,
    )
    run(oras, "pull", "--plain-http", "--output", scratch / "out", reference)
    assert (scratch / "out/report.txt").read_text() == "all is well\n"


def test_referrers_are_attached_and_discovered(
    oras: Path, registry: Server, debian: DebianImage, scratch: Path
) -> None:
    subject = f"{registry.host}/oras/subject:1"
    _push(oras, debian.layout, subject)
    (scratch / "sbom.json").write_text('{"packages": []}')
    for kind in (_SBOM, "application/vnd.example.signature"):
        run(
            oras,
            "attach",
            "--plain-http",
            f"--artifact-type={kind}",
            subject,
            "sbom.json",
            cwd=scratch,
        )
    listed = json.loads(
        run(oras, "discover", "--plain-http", "--format=json", f"--artifact-type={_SBOM}", subject)
    )
    (found,) = listed["referrers"]
    attached = referrers_of(registry, "oras/subject", debian.digest)
    assert len(attached) == 2
    assert found["digest"] in {descriptor["digest"] for descriptor in attached}
    assert manifest(registry, "oras/subject", debian.digest.replace(":", "-")).status == 404, (
        "fallback tag was used"
    )


def test_copy_with_referrers(
    oras: Path, registry: Server, debian: DebianImage, scratch: Path
) -> None:
    source, target = f"{registry.host}/oras/signed:1", f"{registry.host}/oras/signed-copy:1"
    _push(oras, debian.layout, source)
    (scratch / "signature").write_text("signed")
    run(
        oras, "attach", "--plain-http", f"--artifact-type={_SBOM}", source, "signature", cwd=scratch
    )
    run(oras, "copy", "--recursive", "--from-plain-http", source, "--to-plain-http", target)
    assert len(referrers_of(registry, "oras/signed-copy", debian.digest)) == 1


def test_delete(oras: Path, registry: Server, debian: DebianImage) -> None:
    doomed = f"{registry.host}/oras/doomed"
    _push(oras, debian.layout, f"{doomed}:1")
    run(oras, "manifest", "delete", "--plain-http", "--force", f"{doomed}@{debian.digest}")
    assert "not found" in refused(oras, "manifest", "fetch", "--plain-http", f"{doomed}:1").lower()
    run(oras, "blob", "delete", "--plain-http", "--force", f"{doomed}@{debian.layers[0]}")
    refused(oras, "blob", "fetch", "--plain-http", "--descriptor", f"{doomed}@{debian.layers[0]}")


@pytest.mark.usefixtures("pushed")
def test_list_tags_and_repositories(oras: Path, registry: Server) -> None:
    assert "1" in run(oras, "repo", "tags", "--plain-http", f"{registry.host}/oras/debian").split()
    assert "debian" in run(oras, "repo", "ls", "--plain-http", f"{registry.host}/oras/")
