"""Images in tar files: in and out, whole or not at all, the same bytes each time."""

import gzip
import json
import os
import tarfile
from pathlib import Path
from typing import Final

import pytest
import zstandard

from kho.client.archives.archive import Archive
from kho.client.archives.places import ArchivePlace
from kho.client.archives.sink import FileSink, StreamSink, tar_header
from kho.client.archives.target import ArchiveTarget, Form
from kho.client.errors import ClientError, Damaged, Misused
from kho.client.local.load import load
from kho.client.local.save import save
from kho.client.stores.copy import Copier
from kho.client.stores.layout import Layout
from kho.client.stores.registry_store import RegistryStore
from kho.client.stores.store import ContentMissing
from kho.oci import media_types
from kho.oci.digest import Digest
from kho.oci.reference import ReferenceInvalid
from kho.remote.errors import ContentMismatch
from kho.remote.manifests import Manifest

from .archives import crane_docker, old_docker, tar
from .images import content_of, descriptor, image, index

FORMS: Final = tuple(Form)
LAYERS: Final = [tar(("a", b"1" * 100_000)), tar(("b", os.urandom(2_000_000))), b""]


def writing(path: Path, form: Form = Form.DOCKER) -> ArchiveTarget:
    return ArchivePlace(form.value, str(path), None).target()


async def write(source: Layout, path: Path, *names: str, form: Form = Form.DOCKER) -> None:
    async with writing(path, form) as target:
        for name in names:
            await Copier(source, target, referrers=True, parallel=8).copy(name, [name])


def members(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        return archive.getnames()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
async def test_an_image_goes_in_and_comes_out(
    layout: Layout, other: Layout, tmp_path: Path, form: Form, pack: type[bytes]
) -> None:
    made = await image(layout, "app:1", os.urandom(300_000), b"", os.urandom(5))
    path = tmp_path / "image.tar"
    await write(layout, path, "app:1", form=form)
    path.write_bytes(pack(path.read_bytes()))
    async with Archive(str(path)) as archive:
        copied = await Copier(archive, other).copy(await archive.only_name(), ["app:1"])
        name = "docker.io/library/app:1"
        assert name in [tag async for tag in archive.tags()]
        assert (await archive.manifest("app:1")).digest == made.digest
    assert copied.digest == made.digest
    assert content_of(other.folder) == content_of(layout.folder)


async def test_into_a_registry_and_out_of_it(
    layout: Layout, repository: RegistryStore, tmp_path: Path
) -> None:
    made = await image(layout, "app:1")
    await write(layout, tmp_path / "in.tar", "app:1")
    async with Archive(str(tmp_path / "in.tar")) as archive:
        await Copier(archive, repository).copy("app:1", ["1"])
        again = await Copier(archive, repository).copy("app:1", ["1"])
    assert again.outcomes == {}
    async with writing(tmp_path / "out.tar") as target:
        await Copier(repository, target).copy("1", ["app:1"])
    assert (await repository.manifest("1")).digest == made.digest
    assert (tmp_path / "out.tar").read_bytes() == (tmp_path / "in.tar").read_bytes()


async def test_several_images_share_their_layers(layout: Layout, tmp_path: Path) -> None:
    shared = os.urandom(1000)
    await image(layout, "app:1", shared)
    await image(layout, "app:2", shared, b"more")
    path = tmp_path / "images.tar"
    await write(layout, path, "app:1", "app:2")
    names = members(path)
    assert len(names) == len(set(names)) == 3 + 1 + 2 + 2  # one config, two layers, two manifests
    async with Archive(str(path)) as archive:
        assert [one.names for one in await archive.images()] == [
            ("docker.io/library/app:1",),
            ("docker.io/library/app:2",),
        ]
        with pytest.raises(ContentMissing, match=r"which image.*app:1, docker\.io/library/app:2"):
            await archive.only_name()
        with pytest.raises(ContentMissing, match="no image app:3; there are: "):
            await archive.manifest("app:3")


@pytest.mark.parametrize("form", FORMS)
async def test_the_same_image_makes_the_same_bytes(
    layout: Layout, tmp_path: Path, form: Form
) -> None:
    images = [
        (f"linux/{one}", await image(layout, None, os.urandom(5000), architecture=one))
        for one in ("amd64", "arm64", "riscv64")
    ]
    made = await index(layout, "app:1", *images)
    await image(layout, None, subject=descriptor(made))
    # The order in which content comes is another one; in the file it is the same.
    async with writing(tmp_path / "b", form) as target:
        await Copier(layout, target, parallel=1).copy(str(images[2][1].digest))
        await Copier(layout, target, referrers=True, parallel=1).copy("app:1", ["app:1"])
    await write(layout, tmp_path / "a", "app:1", form=form)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


async def test_a_stream_has_the_bytes_of_the_file(layout: Layout, tmp_path: Path) -> None:
    one, two = [await image(layout, None, architecture=name) for name in ("amd64", "arm64")]
    await index(layout, "app:1", ("linux/amd64", one), ("linux/arm64", two))
    out = bytearray()

    async def take(piece: bytes) -> None:
        out.extend(piece)

    async with ArchiveTarget("stream", lambda: StreamSink(take)) as target:
        await save(Copier(layout, target), "app:1", "app:1")
    await write(layout, tmp_path / "file", "app:1")
    assert out == (tmp_path / "file").read_bytes()


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 1000, b"x" * 1001])
async def test_what_fails_leaves_what_was_there(
    layout: Layout, tmp_path: Path, damage: bytes
) -> None:
    await image(layout, "app:1", os.urandom(1000))
    for layer in (layout.folder / "blobs/sha256").iterdir():
        if layer.stat().st_size == 1000:
            layer.write_bytes(damage)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "old.tar").write_bytes(b"old")
    for name in ("new.tar", "old.tar"):
        with pytest.raises(ContentMismatch):
            await write(layout, folder / name, "app:1")
    assert [path.name for path in folder.iterdir()] == ["old.tar"]
    assert (folder / "old.tar").read_bytes() == b"old"


async def test_an_error_that_is_passed_over_makes_no_archive(
    layout: Layout, tmp_path: Path
) -> None:
    made = await image(layout, "app:1", b"layer")
    layout.path(Digest.of(b"layer")).write_bytes(b"wrong")
    target = await writing(tmp_path / "x.tar").__aenter__()
    with pytest.raises(ContentMismatch):
        await Copier(layout, target).copy(str(made.digest))
    with pytest.raises(ClientError, match="not all of its images"):
        await target.__aexit__(None, None, None)
    assert not (tmp_path / "x.tar").exists()


async def test_docker_gets_the_image_that_runs_here(layout: Layout, tmp_path: Path) -> None:
    names = ("s390x", "amd64", "arm64")
    images = [(f"linux/{one}", await image(layout, None, architecture=one)) for one in names]
    await index(layout, "app:1", *images)
    await write(layout, tmp_path / "x.tar", "app:1")
    with tarfile.open(tmp_path / "x.tar") as archive:
        file = archive.extractfile("manifest.json")
        assert file
        (listed,) = json.load(file)
        config = archive.extractfile(listed["Config"])
        assert config
        local = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
        assert json.load(config)["architecture"] == local
    assert listed["RepoTags"] == ["docker.io/library/app:1"]


async def test_an_index_of_which_one_image_is_there(
    layout: Layout, other: Layout, tmp_path: Path
) -> None:
    """docker with containerd's store saves the whole index with what it has of it."""
    one, two = [await image(layout, None, architecture=name) for name in ("s390x", "arm64")]
    await index(layout, "app:1", ("linux/s390x", one), ("linux/arm64", two))
    layout.path(two.digest).unlink()
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(layout.folder, arcname=".")
    async with Archive(str(tmp_path / "x.tar")) as found:
        copied = await Copier(found, other).copy("app:1", ["1"])
    assert copied.digest == one.digest


async def test_referrers_and_unnamed_images(layout: Layout, other: Layout, tmp_path: Path) -> None:
    made = await image(layout, "app:1")
    sbom = await image(layout, None, subject=descriptor(made))
    await write(layout, tmp_path / "x.tar", str(made.digest), form=Form.OCI)
    async with writing(tmp_path / "y.tar") as target:
        await Copier(layout, target, referrers=True).copy("app:1")
    async with Archive(str(tmp_path / "y.tar")) as archive:
        (found,) = await archive.referrers(made.digest)
        assert found["digest"] == str(sbom.digest)
        assert await archive.only_name() == str(made.digest)
        loaded = [one async for one in load(archive, other)]
    assert loaded == [(made.digest, None)]
    assert (await other.manifest(str(sbom.digest))).digest == sbom.digest


async def test_what_was_loaded_has_its_full_name(
    layout: Layout, other: Layout, tmp_path: Path
) -> None:
    made = await image(layout, "app")
    await write(layout, tmp_path / "x.tar", "app", form=Form.OCI)
    async with Archive(str(tmp_path / "x.tar")) as archive:
        name = "docker.io/library/app:latest"
        assert [one async for one in load(archive, other)] == [(made.digest, name)]
    assert (await other.manifest(name)).digest == made.digest


@pytest.mark.parametrize("make", [old_docker, crane_docker])
async def test_an_old_archive_gets_a_manifest(other: Layout, tmp_path: Path, make: type) -> None:
    if make is crane_docker:
        path = crane_docker(tmp_path / "x.tar", "app:1", LAYERS)
    else:
        path = old_docker(tmp_path / "x.tar", ("app:1", LAYERS))
    digests = set()
    for _ in range(2):
        async with Archive(str(path)) as archive:
            copied = await Copier(archive, other).copy(await archive.only_name(), ["1"])
            digests.add(copied.digest)
    assert len(digests) == 1
    assert copied.outcomes == {}  # the second time everything was there
    found = json.loads((await other.manifest("1")).content)
    assert found["mediaType"] == media_types.DOCKER_MANIFEST
    stored = [other.path(Digest.parse(one["digest"])).read_bytes() for one in found["layers"]]
    assert [gzip.decompress(one) for one in stored] == LAYERS


async def test_old_images_that_share_layers(other: Layout, tmp_path: Path) -> None:
    images = [("app:1", LAYERS[:2]), ("app:2", [LAYERS[1], LAYERS[1], LAYERS[0]])]
    path = old_docker(tmp_path / "x.tar", *images)
    async with Archive(str(path)) as archive:
        loaded = [name async for _, name in load(archive, other)]
    assert loaded == ["docker.io/library/app:1", "docker.io/library/app:2"]
    assert len(content_of(other.folder)) == 2 + 2 + 2


async def test_zstd_layers_of_an_old_archive_make_an_oci_image(
    other: Layout, tmp_path: Path
) -> None:
    layer = zstandard.compress(LAYERS[0])
    path = tmp_path / "x.tar"
    config = _json({"rootfs": {"diff_ids": [str(Digest.of(LAYERS[0]))]}})
    listed = [{"Config": "c", "RepoTags": None, "Layers": ["z"]}]
    path.write_bytes(tar(("c", config), ("z", layer), ("manifest.json", _json(listed))))
    async with Archive(str(path)) as archive:
        assert await archive.only_name() == "@0"
        copied = await Copier(archive, other).copy("@0", ["1"])
    assert copied.media_type == media_types.OCI_MANIFEST
    assert "tar+zstd" in (await other.manifest("1")).content.decode()


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def test_headers_of_long_names_and_sizes(tmp_path: Path) -> None:
    name = f"blobs/sha512/{'a' * 128}"
    (tmp_path / "x").write_bytes(tar_header(name, 0) + tar_header("large", 9 << 30))
    with tarfile.open(tmp_path / "x") as archive:
        first, second = archive.next(), archive.next()
    assert first
    assert second
    assert (first.name, second.size) == (name, 9 << 30)


async def test_blobs_named_by_sha512(tmp_path: Path) -> None:
    content = b'{"schemaVersion":2,"manifests":[]}'
    made = Manifest(media_types.OCI_INDEX, Digest.of(content, "sha512"), content)
    async with writing(tmp_path / "x.tar") as target:
        await target.take_manifest(made, "app:1")
    async with Archive(str(tmp_path / "x.tar")) as archive:
        assert (await archive.manifest("app:1")).digest == made.digest


@pytest.mark.parametrize("name", ["A:1", "app@sha256:" + "a" * 64])
def test_names_that_docker_cannot_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(Misused):
        ArchivePlace("docker-archive", str(tmp_path / "x"), name).target()


def test_places_as_they_are_written() -> None:
    parse = ArchivePlace.parse
    assert parse("docker-archive:a.tar") == ArchivePlace("docker-archive", "a.tar", None)
    assert parse("oci-archive:a:b/c:1") == ArchivePlace("oci-archive", "a", "b/c:1")
    assert parse("docker-daemon:a:1") == ArchivePlace("docker-daemon", "", "a:1")
    assert parse("docker:a") is None
    for text in ("docker-archive:", "oci-archive::a", "docker-daemon:"):
        with pytest.raises(ReferenceInvalid, match="expected"):
            parse(text)


async def test_a_file_system_without_nameless_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)
    for name in ("a", "b"):
        sink = FileSink(tmp_path / "x.tar")
        assert len([*tmp_path.glob(".x.tar.*")]) == 1
        if name == "b":
            async with sink.member("x", 1) as put:
                await put(b"x")
            await sink.finish(["x"])
        sink.discard()
        assert [one.name for one in tmp_path.iterdir()] == (["x.tar"] if name == "b" else [])


async def test_a_member_that_is_not_all_there(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "x.tar")
    with pytest.raises(ValueError, match="1 bytes are missing"):
        async with sink.member("x", 2) as put:
            await put(b"x")
    sink.discard()


async def test_a_wrong_layer_of_an_old_archive(tmp_path: Path) -> None:
    path = old_docker(tmp_path / "x.tar", ("app:1", LAYERS[:1]))
    path.write_bytes(path.read_bytes().replace(b"1111", b"1112", 1))
    async with Archive(str(path)) as archive:
        with pytest.raises(Damaged, match=r"layer\.tar has the digest"):
            await archive.manifest("app:1")
