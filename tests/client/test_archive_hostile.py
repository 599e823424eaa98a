"""Archives that lie: one clear line, and nothing is kept."""

import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kho.client.archives.archive import Archive
from kho.client.errors import Damaged, Missing
from kho.client.progress import SILENT
from kho.client.stores.copy import Copier
from kho.client.stores.layout import Layout
from kho.client.stores.store import ContentMissing
from kho.oci.digest import Digest
from kho.remote.errors import ContentMismatch

from .archives import config_of, hexes, old_docker, tar
from .images import content_of, image

CONFIG = config_of(b"layer")


def listed(**changes: Any) -> bytes:
    return json.dumps([{"Config": "c.json", "Layers": ["l"], "RepoTags": None, **changes}]).encode()


def docker(*members: tuple[str, bytes | str], **changes: Any) -> bytes:
    """An old archive of one image."""
    return tar(("c.json", CONFIG), ("manifest.json", listed(**changes)), *members)


def indexed(**changes: Any) -> bytes:
    """A layout whose index has one entry."""
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 2, **changes}
    return tar(("index.json", json.dumps({"manifests": [entry]}).encode()))


def linked(kind: bytes, name: str, target: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)
    return out.getvalue()[:512]


def sized(size: int) -> bytes:
    """A tar whose only member says that it has so many bytes."""
    info = tarfile.TarInfo("index.json")
    info.size = size
    return info.tobuf(tarfile.PAX_FORMAT) + bytes(2048)


GOOD = ("l", b"layer")
HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "neither index.json nor manifest.json"),
    "noise": (os.urandom(4096), "no tar file"),
    "a text": (b"hello" * 1000, "no tar file"),
    "no images": (tar(("x", b"")), "neither index.json nor manifest.json"),
    "repositories alone": (tar(("repositories", b"{}")), "neither index.json nor"),
    "cut off": (docker(GOOD)[:1400], "cut off"),
    "lying size": (sized(1 << 40), "cut off"),
    "negative size": (linked(b"0", "x", "")[:124] + b"\xff" * 12 + bytes(1000), "no tar file"),
    "out of it": (docker(GOOD, ("../../etc/passwd", b"x")), r"etc/passwd.* leaves the archive"),
    "twice": (docker(GOOD, ("l", b"other")), "'l' stands in it twice"),
    "manifest twice": (
        docker(GOOD, ("manifest.json", b"[]")),
        "'manifest.json' stands in it twice",
    ),
    "circle": (docker(("l", "m"), ("m", "l")), "a link to a link"),
    "itself": (docker(("l", "l")), "a link to a link"),
    "link out of it": (docker(("l", "../../etc/passwd")), "'l', which is not there"),
    "absolute link": (docker(("l", "/etc/passwd")), "'l', which is not there"),
    "no layer": (docker(), "names 'l', which is not there"),
    "no config": (docker(GOOD, Config="nothing"), "names 'nothing', which is not there"),
    "config out of it": (docker(GOOD, Config="../../etc/passwd"), "passwd', which is not there"),
    "layers by number": (docker(GOOD, Layers=[1]), "an entry without Config and Layers"),
    "names by number": (docker(GOOD, RepoTags=[{}]), "an entry without Config and Layers"),
    "layers as text": (docker(GOOD, Layers="l"), "an entry without Config and Layers"),
    "too few layers": (docker(GOOD, Layers=[]), "lists 0 layers, its config 1"),
    "wrong layer": (docker(("l", b"other")), "l has the digest sha256:.*, not sha256:"),
    "compressed by xz": (docker(("l", b"\xfd7zXZ\0" + bytes(600))), "compressed with xz"),
    "wrong config": (
        tar((f"{'a' * 64}.json", CONFIG), ("manifest.json", listed(Config=f"{'a' * 64}.json"))),
        "has the digest",
    ),
    "config is no object": (
        tar(("c.json", b"[]"), ("manifest.json", listed()), GOOD),
        "not a JSON object",
    ),
    "diff id is a path": (
        tar(
            ("c.json", b'{"rootfs":{"diff_ids":["sha256:../../x"]}}'),
            ("manifest.json", listed()),
            GOOD,
        ),
        "not a digest",
    ),
    "manifest.json is no list": (tar(("manifest.json", b"{}")), "is no list"),
    "manifest.json breaks out": (tar(("manifest.json", b'[],"images":[]')), "stands twice"),
    "manifest.json is large": (tar(("manifest.json", b" " * (5 << 20))), "allowed are"),
    "nothing in manifest.json": (tar(("manifest.json", b"[null]")), "an entry without Config"),
    "index is no json": (tar(("index.json", b"{")), "not JSON"),
    "index is a list": (tar(("index.json", b"[]")), "not a JSON object"),
    "index lists text": (tar(("index.json", b'{"manifests":["x"]}')), "no list of manifests"),
    "digest is a path": (indexed(digest="sha256:../../etc/passwd"), "not a digest"),
    "digest is empty": (indexed(digest=""), "not a digest"),
    "digest in capitals": (indexed(digest="sha256:" + "A" * 64), "not a digest"),
    "no digest": (indexed(), "not a digest"),
    "manifest missing": (indexed(digest="sha256:" + "a" * 64), "has no sha256:aaaa"),
    "gzip cut off": (gzip.compress(docker(GOOD))[:-20], "cut off"),
    "gzip damaged": (gzip.compress(docker(GOOD))[:-8] + bytes(8), "damaged"),
    "bomb": (gzip.compress(bytes(200 << 20)), "a bomb"),
    "xz": (b"\xfd7zXZ\0" + bytes(600), "compressed with xz"),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_hostile(case: str, other: Layout, tmp_path: Path) -> None:
    content, words = HOSTILE[case]
    path = tmp_path / "x.tar"
    path.write_bytes(content)
    async with Archive(str(path)) as archive:
        with pytest.raises((Damaged, ContentMissing), match=words) as caught:
            await Copier(archive, other).copy(await archive.only_name(), ["1"])
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert not other.folder.exists()
    assert [one.name for one in tmp_path.iterdir()] == ["x.tar"]


async def test_a_blob_that_is_another(layout: Layout, other: Layout, tmp_path: Path) -> None:
    made = await image(layout, "app:1", b"layer one")
    for damage in (b"layer two", b"layer", b"layer one and more"):
        layout.path(Digest.of(b"layer one")).write_bytes(damage)
        with tarfile.open(tmp_path / "x.tar", "w") as archive:
            archive.add(layout.folder, arcname=".")
        async with Archive(str(tmp_path / "x.tar")) as found:
            with pytest.raises(ContentMismatch, match=hexes(b"layer one")):
                await Copier(found, other).copy("app:1", ["1"])
        assert not await other.has_manifest(made.digest)
        assert hexes(b"layer one") not in content_of(other.folder)


async def test_a_manifest_that_is_another(layout: Layout, tmp_path: Path) -> None:
    made = await image(layout, "app:1")
    layout.path(made.digest).write_bytes(made.content + b" ")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(layout.folder, arcname=".")
    async with Archive(str(tmp_path / "x.tar")) as found:
        with pytest.raises(Damaged, match=f"{made.digest} is damaged"):
            await found.manifest("app:1")


async def test_many_members_are_too_many(tmp_path: Path) -> None:
    one = linked(b"5", "d", "")
    with (tmp_path / "x.tar").open("wb") as file:
        for _ in range(101):
            file.write(one * 1000)
    async with Archive(str(tmp_path / "x.tar")) as archive:
        with pytest.raises(Damaged, match="more than 100000 entries"):
            await archive.images()


async def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="there is no such file"):
        await Archive(str(tmp_path / "x")).images()
    with pytest.raises(Missing, match="is a folder: write oci:"):
        await Archive(str(tmp_path)).images()


async def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    path = old_docker(tmp_path / "x.tar", ("app:1", [b"layer"]))
    reading, writing = os.pipe()
    os.write(writing, path.read_bytes())
    os.close(writing)
    async with Archive(f"/dev/fd/{reading}", told=SILENT) as archive:
        assert await archive.only_name() == "app:1"
    os.close(reading)
