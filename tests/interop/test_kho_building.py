"""Images that kho makes and changes, and what it attaches: as crane, oras and engines see it."""

import json
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .clients import Command, program, with_own_cache
from .engines import docker_engine
from .kho_client import Kho
from .processes import run
from .servers import Server
from .wire import digest_of, layers_of, manifest

_AT = ("--plain-http", "-q")


@pytest.fixture(scope="module")
def crane() -> Path:
    return program("crane")


@pytest.fixture(scope="module")
def oras() -> Path:
    return program("oras")


@pytest.fixture(scope="module")
def docker(scratch: Path) -> Iterator[Command]:
    with docker_engine(scratch / "docker") as command:
        yield command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files, links of both kinds, an empty folder."""
    found = tmp_path / "folder"
    (found / "etc/empty").mkdir(parents=True)
    (found / "etc/a").write_text("a")
    (found / "etc/b").hardlink_to(found / "etc/a")
    (found / "link").symlink_to("etc/a")
    (found / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (found / "run.sh").chmod(0o755)
    return found


@pytest.fixture
def base(kho: Kho, either: Server, folder: Path, request: pytest.FixtureRequest) -> str:
    """An image in a repository that no other test uses."""
    found = f"{either.host}/building/{request.node.name.split('[')[0].replace('test_', '')}:base"
    run_words = ("--entrypoint", "/run.sh", "--env", "PATH=/bin", "--label", "a=1")
    kho.run("pack", folder, found, "--platform", "linux/amd64", *run_words, *_AT)
    return found


def config(crane: Path, reference: str) -> Any:
    return json.loads(run(crane, "config", reference))


def exported(crane: Path, reference: str, where: Path) -> dict[str, tuple[object, ...]]:
    """The files of an image as crane reads them, hard links by content."""
    run(crane, "export", reference, where)
    found: dict[str, tuple[object, ...]] = {}
    with tarfile.open(where) as tar:
        for one in tar:
            name = one.name.removeprefix("./").rstrip("/")
            file = tar.extractfile(one) if one.isfile() or one.islnk() else None
            content = None if file is None else file.read()
            kind = tarfile.REGTYPE if one.islnk() else one.type
            link = one.linkname if one.issym() else ""
            found[name] = (kind, one.mode, one.uid, one.gid, content, link)
    where.unlink()
    return found


def test_a_folder_packed_is_the_folder(
    kho: Kho, either: Server, crane: Path, base: str, folder: Path, tmp_path: Path
) -> None:
    run(crane, "validate", "--remote", base)
    found = exported(crane, base, tmp_path / "tar")
    assert {name for name in found if name} == {
        str(path.relative_to(folder)) for path in folder.rglob("*")
    }
    assert found["etc/b"][4] == b"a"
    assert found["link"][5] == "etc/a"
    skopeo = with_own_cache("skopeo", tmp_path / "skopeo")
    told = run(*skopeo, "inspect", "--tls-verify=false", "--config", f"docker://{base}")
    assert json.loads(told)["config"]["Entrypoint"] == ["/run.sh"]
    again = base.replace(":base", ":again")
    assert kho.json("pack", folder, again, "--platform", "linux/arm64", "--plain-http")["digest"]
    repository = base.removeprefix(f"{either.host}/").removesuffix(":base")
    assert layers_of(either, repository, "again") == layers_of(either, repository, "base")


def test_a_packed_program_runs(kho: Kho, either: Server, docker: Command, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for path in ["/bin/echo", *re.findall(r"/\S+", run("ldd", "/bin/echo"))]:
        there = root / path.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, there)
    reference = f"{either.host}/building/runs:1"
    words = ("--entrypoint", "/bin/echo", "--cmd", '["it", "ran"]', "--user", "1000:1000")
    kho.run("pack", root, reference, *words, *_AT)
    assert run(*docker, "run", "--rm", "--network=none", reference) == "it ran\n"


def test_append_as_crane_does(
    kho: Kho, either: Server, crane: Path, base: str, folder: Path, tmp_path: Path
) -> None:
    (folder / "etc/new").write_text("new")
    with tarfile.open(tmp_path / "layer.tar", "w") as tar:
        tar.add(folder / "etc/new", "etc/new")
    theirs, ours = base.replace(":base", ":crane"), base.replace(":base", "-kho:1")
    run(crane, "append", "-b", base, "-f", tmp_path / "layer.tar", "-t", theirs)
    mark = either.log.mark()
    kho.run("append", base, ours, "--layer", tmp_path / "layer.tar", *_AT)
    log = either.log.since(mark)
    one, other = config(crane, ours), config(crane, theirs)
    assert one["rootfs"] == other["rootfs"]
    assert one["config"] == other["config"]
    assert len(one["history"]) == 2
    assert exported(crane, ours, tmp_path / "a") == exported(crane, theirs, tmp_path / "b")
    assert [one.path for one in log if one.is_mount], log


def test_mutate_as_crane_does(kho: Kho, either: Server, crane: Path, base: str) -> None:
    theirs, ours = base.replace(":base", ":crane"), base.replace(":base", ":kho")
    words = ("--label", "b=2", "--env", "A=1", "--env", "PATH=/usr/bin", "--user", "1:1")
    same = (*words, "--workdir", "/etc", "--entrypoint", "/x", "--annotation", "n=1")
    run(crane, "mutate", base, *same, "--cmd", "y", "--exposed-ports", "80/tcp", "-t", theirs)
    kho.run("mutate", base, *same, "--cmd", "y", "--expose", "80", "-t", ours, *_AT)
    assert config(crane, ours)["config"] == config(crane, theirs)["config"]
    repository = base.removeprefix(f"{either.host}/").removesuffix(":base")
    said = [manifest(either, repository, one).json() for one in ("kho", "crane")]
    assert said[0]["annotations"] == said[1]["annotations"]
    assert said[0]["layers"] == said[1]["layers"]
    before = digest_of(either, repository, "base")
    kho.run("mutate", base, "--label", "c=3", *_AT)
    assert digest_of(either, repository, "base") != before
    assert config(crane, base)["config"]["Labels"] == {"a": "1", "c": "3"}


def test_rebase_as_crane_does(
    kho: Kho, crane: Path, base: str, folder: Path, tmp_path: Path
) -> None:
    new, image = base.replace(":base", ":newer"), base.replace(":base", ":image")
    theirs, ours = base.replace(":base", ":crane"), base.replace(":base", ":kho")
    (folder / "etc/a").write_text("newer")
    kho.run("pack", folder, new, "--platform", "linux/amd64", "--env", "PATH=/bin", *_AT)
    (tmp_path / "own").mkdir()
    (tmp_path / "own/app").write_text("app")
    kho.run("append", base, image, "--dir", tmp_path / "own", "--prefix", "/opt", *_AT)
    run(crane, "rebase", image, "--old_base", base, "--new_base", new, "-t", theirs)
    kho.run("rebase", image, "--new-base", new, "-t", ours, *_AT)  # the old one it says itself
    assert config(crane, ours)["rootfs"] == config(crane, theirs)["rootfs"]
    assert exported(crane, ours, tmp_path / "a") == exported(crane, theirs, tmp_path / "b")
    assert "is not made on" in kho.refused(
        "rebase", new, "--old-base", image, "--new-base", new, *_AT
    )


def test_flatten_as_crane_does_and_better(kho: Kho, crane: Path, base: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "layer.tar", "w") as tar:
        for name, content in (("etc/.wh.empty", b""), ("link", b"no link now"), ("new", b"1")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            (tmp_path / "content").write_bytes(content)
            with (tmp_path / "content").open("rb") as file:
                tar.addfile(member, file)
    image = base.replace(":base", ":image")
    theirs, ours = base.replace(":base", ":crane"), base.replace(":base", ":kho")
    kho.run("append", base, image, "--layer", tmp_path / "layer.tar", *_AT)
    run(crane, "flatten", image, "-t", theirs)
    kho.run("flatten", image, "-t", ours, *_AT)
    run(crane, "validate", "--remote", ours)
    mine, other = exported(crane, ours, tmp_path / "a"), exported(crane, theirs, tmp_path / "b")
    assert mine == {**other, "etc": mine["etc"]}
    assert "etc/empty" not in mine
    assert config(crane, ours)["config"] == config(crane, theirs)["config"]


def test_a_link_whose_file_was_replaced_keeps_its_content(
    kho: Kho, crane: Path, base: str, folder: Path, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "layer.tar", "w") as tar:
        (folder / "new").write_text("replaced")
        tar.add(folder / "new", "etc/a")
    image, flat = base.replace(":base", ":image"), base.replace(":base", ":flat")
    kho.run("append", base, image, "--layer", tmp_path / "layer.tar", *_AT)
    kho.run("flatten", image, "-t", flat, *_AT)
    found = exported(crane, flat, tmp_path / "tar")
    assert (found["etc/a"][4], found["etc/b"][4]) == (b"replaced", b"a")


def discovered(oras: Path, reference: str) -> set[str]:
    told = json.loads(run(oras, "discover", "--plain-http", "--format", "json", reference))
    return {one["digest"] for one in told.get("referrers") or told.get("manifests") or []}


def test_attachments_are_found_both_ways(
    kho: Kho, either: Server, oras: Path, base: str, tmp_path: Path
) -> None:
    (tmp_path / "sbom.json").write_text("{}")
    (tmp_path / "report.txt").write_text("fine")
    kind = ("--artifact-type", "application/spdx+json")
    mine = kho.run("attach", base, f"{tmp_path}/sbom.json:application/json", *kind, *_AT).strip()
    report = ("--artifact-type", "text/report", "--disable-path-validation")
    run(oras, "attach", "--plain-http", *report, base, f"{tmp_path}/report.txt:text/plain")
    more = kho.run("attach", base, f"{tmp_path}/report.txt", *kind, *_AT).strip()
    listed = kho.json("referrers", base, "--plain-http")
    digests = {one["digest"] for one in listed}
    assert len(digests) == 3
    assert {mine, more} < digests
    assert discovered(oras, base) == digests
    told = kho.run("referrers", base, "--artifact-type", "text/report", "--plain-http")
    assert told.split()[1:] == ["text/report"]
    regctl = (program("regctl"), "--host", f"reg={either.host},tls=disabled")
    assert mine in run(*regctl, "artifact", "list", base, "--format", "{{jsonPretty .}}")

    signed = f"{base.removesuffix(':base')}@{mine}"
    kho.run("attach", signed, f"{tmp_path}/report.txt", *kind, *_AT)
    tree = kho.run("referrers", base, "--recursive", "--plain-http").splitlines()
    assert sum(line.startswith("  sha256:") for line in tree) == 1
    gone = kho.run("delete", signed, "--referrers", "--plain-http").splitlines()
    assert len(gone) == 2
    assert discovered(oras, base) == digests - {mine}


def test_artifacts_as_oras_has_them(kho: Kho, either: Server, oras: Path, tmp_path: Path) -> None:
    (tmp_path / "all/of").mkdir(parents=True)
    (tmp_path / "all/of/it").write_text("it")
    (tmp_path / "one.txt").write_text("one")
    reference = f"{either.host}/building/artifact"
    files = (f"{tmp_path}/one.txt:text/plain", tmp_path / "all")
    kho.run("artifact", "push", f"{reference}:kho", *files, "--artifact-type", "a/b", *_AT)
    run(oras, "pull", "--plain-http", f"{reference}:kho", "-o", tmp_path / "oras")
    assert (tmp_path / "oras/one.txt").read_text() == "one"
    assert (tmp_path / "oras/all/of/it").read_text() == "it"
    run(
        *(oras, "push", "--plain-http", f"{reference}:oras", "one.txt:text/plain", "all"),
        cwd=tmp_path,
    )
    kho.run("artifact", "pull", f"{reference}:oras", tmp_path / "kho", *_AT)
    assert (tmp_path / "kho/one.txt").read_text() == "one"
    with tarfile.open(tmp_path / "kho/all.tar.gz") as tar:
        assert "all/of/it" in tar.getnames()
    said = kho.refused("artifact", "pull", f"{reference}:oras", tmp_path / "kho", *_AT)
    assert "one.txt is there already; --force writes over it" in said


def test_tags_and_images_are_deleted(kho: Kho, either: Server, registry: Server, base: str) -> None:
    repository = base.removesuffix(":base")
    digest = kho.run("digest", base, "--plain-http").strip()
    kho.run("copy", base, f"{repository}:other", *_AT)
    assert "names a whole repository" in kho.refused("delete", repository, "--plain-http")
    if either is registry:
        assert kho.run("delete", base, "--plain-http") == f"deleted {base}\n"
        assert kho.json("tags", repository, "--plain-http")["tags"] == ["other"]
        assert "has no base" in kho.refused("delete", base, "--plain-http")
    else:
        said = kho.refused("delete", base, "--plain-http")
        assert "cannot delete a tag alone (400); to delete" in said
    told = kho.json("delete", f"{repository}:other", "--image", "--plain-http")
    assert told == [{"reference": f"{repository}@{digest}", "digest": digest}]
    assert "404" in kho.refused("delete", f"{repository}@{digest}", "--plain-http")
