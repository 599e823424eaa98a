"""kho's looks into images and registries, beside those of crane, skopeo and GNU tar."""

import gzip
import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .clients import program
from .images import DebianImage
from .kho_client import Kho
from .processes import run
from .servers import Server

STATUS = "var/lib/dpkg/status"


@pytest.fixture(scope="session")
def crane() -> Path:
    return program("crane")


@pytest.fixture(scope="module")
def image(either: Server, crane: Path, debian: DebianImage) -> str:
    """The Debian image."""
    reference = f"{either.host}/reading/debian:1"
    run(crane, "push", debian.folder / "debian", reference)
    return reference


@pytest.fixture(scope="session")
def exported(
    debian: DebianImage, crane: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tarfile.TarFile]:
    """All files of the image, as crane sees them."""
    folder = tmp_path_factory.mktemp("exported")
    layout = debian.folder / "debian"
    run(program("skopeo"), "copy", f"oci:{layout}:debian", f"docker-archive:{folder}/image.tar:a:1")
    with (folder / "image.tar").open("rb") as archive, (folder / "files.tar").open("wb") as out:
        subprocess.run([crane, "export", "-", "-"], stdin=archive, stdout=out, check=True)
    with tarfile.open(folder / "files.tar") as found:
        yield found


def test_files_are_those_that_crane_exports(
    kho: Kho, image: str, exported: tarfile.TarFile
) -> None:
    found = {one["path"]: one for one in kho.json("ls", "-R", f"{image}:/")}
    wanted = {f"/{one.name.strip('./')}": one for one in exported.getmembers()}
    wanted.pop("/", None)
    assert found.keys() == wanted.keys()
    for path, member in wanted.items():
        one = found[path]
        assert int(one["mode"], 8) == member.mode, path
        assert (one["uid"], one["gid"]) == (member.uid, member.gid), path
        if member.isreg():
            assert (one["kind"], one["size"]) == ("file", member.size), path
        if member.issym():
            assert one["link"] == member.linkname


@pytest.mark.parametrize("path", [STATUS, "usr/bin/dpkg", "etc/os-release", "bin/sh"])
def test_content_is_that_which_crane_exports(
    kho: Kho, image: str, exported: tarfile.TarFile, path: str
) -> None:
    wanted = {"etc/os-release": "usr/lib/os-release", "bin/sh": "usr/bin/dash"}.get(path, path)
    file = exported.extractfile(exported.getmember(wanted))
    assert file is not None
    assert kho.raw("cat", f"{image}:/{path}") == file.read()


def test_a_manifest_is_the_bytes_that_crane_and_skopeo_see(
    kho: Kho, image: str, crane: Path, debian: DebianImage
) -> None:
    raw = kho.raw("manifest", image)
    assert raw == run(crane, "manifest", image).encode()
    inspect = ("inspect", "--raw", "--tls-verify=false")
    assert raw == run(program("skopeo"), *inspect, f"docker://{image}").encode()
    assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == debian.digest
    assert kho.run("manifest", "--digest", image).strip() == debian.digest
    assert kho.json("manifest", image)["manifest"] == json.loads(raw)
    assert len(kho.run("manifest", "--list", image).splitlines()) == len(debian.layers) + 1


def test_an_index_and_its_platforms(
    kho: Kho, either: Server, crane: Path, debian: DebianImage
) -> None:
    there = f"{either.host}/reading/multi:1"
    run(crane, "push", debian.folder / "multi", there)
    assert kho.run("manifest", "--digest", there).strip() == debian.index_digest
    told = kho.run("manifest", "--digest", "--platform", "linux/amd64", there)
    assert told.strip() == debian.digest
    assert [one["platform"] for one in kho.json("tree", there)["images"]] == [
        "linux/amd64",
        "linux/arm64",
    ]
    assert kho.json("validate", "--fast", there)["manifests"] == 3
    assert "no image for linux/s390x" in kho.refused("cat", "--platform", "s390x", f"{there}:/x")


def test_blobs_go_both_ways(kho: Kho, image: str, either: Server) -> None:
    layer = kho.json("manifest", image)["manifest"]["layers"][3]
    where = f"{either.host}/reading/debian@{layer['digest']}"
    raw = kho.raw("blob", where)
    assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == layer["digest"]
    kho.run("blob", where, "-o", kho.home / "layer")
    assert (kho.home / "layer").read_bytes() == raw
    put = f"{either.host}/reading/put"
    assert kho.run("blob", put, "--put", kho.home / "layer").strip() == layer["digest"]
    assert kho.json("blob", f"{put}@{layer['digest']}")["size"] == len(raw)
    assert "has no blob" in kho.refused("blob", f"{put}@sha256:{'0' * 64}")


def test_a_manifest_is_put_under_another_name(kho: Kho, image: str, crane: Path) -> None:
    file = kho.home / "manifest.json"
    file.write_bytes(kho.raw("manifest", image))
    put = f"{image.removesuffix(':1')}:put"
    digest = kho.run("manifest", put, "--put", file).strip()
    assert run(crane, "digest", put).strip() == digest
    file.write_text("{}")
    assert "manifest" in kho.refused("manifest", image, "--put", file)


def appended(crane: Path, base: str, tag: str, files: dict[str, bytes], folder: Path) -> str:
    """The image with one layer more, made by crane."""
    tar = folder / f"{tag}.tar"
    with tarfile.open(tar, "w") as out:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            source = folder / "content"
            source.write_bytes(content)
            with source.open("rb") as opened:
                out.addfile(info, opened)
    there = base.rpartition(":")[0] + f":{tag}"
    run(crane, "append", "-b", base, "-f", tar, "-t", there)
    return there


def test_a_difference_that_crane_made(kho: Kho, image: str, crane: Path, tmp_path: Path) -> None:
    status = kho.raw("cat", f"{image}:/{STATUS}").decode()
    changed = status.replace("\nVersion: ", "\nVersion: 9:", 1)
    files = {STATUS: changed.encode(), "opt/new": b"1", "usr/bin/.wh.dpkg": b""}
    other = appended(crane, image, "changed", files, tmp_path)
    run(crane, "mutate", other, "--env", "NEW=1", "-t", other)
    found = kho.json("diff", image, other)
    assert len(found["layers"]["shared"]) == 10
    assert [one["name"] for one in found["config"]] == ["env NEW"]
    paths = {one["path"]: one["change"] for one in found["files"]}
    assert paths == {
        f"/{STATUS}": "changed",
        "/opt/new": "added",
        "/usr/bin/dpkg": "removed",
    }
    (package,) = found["packages"]
    assert package["after"] == [f"9:{package['before'][0]}"]
    assert kho.json("diff", "--exit-code", image, image)["same"] is True
    assert "+ /opt/new" in kho.refused("diff", "--exit-code", image, other)


def test_the_sums_of_a_tree(
    kho: Kho, image: str, debian: DebianImage, exported: tarfile.TarFile
) -> None:
    tree = kho.json("tree", image)
    tars = [gzip.decompress(path.read_bytes()) for path in layer_files(kho, image, debian)]
    assert [one["tarSize"] for one in tree["layers"]] == [len(tar) for tar in tars]
    assert sum(one["filesSize"] for one in tree["layers"]) == tree["filesSize"]
    visible = sum(one.size for one in exported.getmembers() if one.isreg())
    assert tree["filesSize"] - tree["wastedSize"] == visible


def layer_files(kho: Kho, image: str, debian: DebianImage) -> list[Path]:
    layers = kho.json("manifest", image)["manifest"]["layers"]
    blobs = debian.folder / "debian/blobs/sha256"
    return [blobs / one["digest"].removeprefix("sha256:") for one in layers]


def test_lists_and_searches(kho: Kho, image: str, either: Server) -> None:
    where = image.rpartition(":")[0]
    assert where in kho.run("ls", either.host).split()
    assert kho.run("ls", f"{either.host}/reading/debian").split() == [where]
    assert kho.run("ls", f"{either.host}/read").split() == []
    assert image in kho.run("ls", "--tags", f"{either.host}/reading").split()
    assert where in [one["name"] for one in kho.json("search", f"{either.host}/debia")]
    assert kho.run("ls", f"{image}:/etc/apt/sources.list").strip() == "/etc/apt/sources.list"


def test_an_image_is_validated(kho: Kho, image: str) -> None:
    found = kho.json("validate", image)
    assert (found["good"], found["manifests"], found["blobs"]) == (True, 1, 11)
