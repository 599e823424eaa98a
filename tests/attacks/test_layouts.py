"""Layouts and stores that come from elsewhere: what their names and files say is not believed."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kho.client.errors import Damaged
from kho.client.local.gc import collect
from kho.client.local.listing import listed
from kho.client.local.store import INDEX, LocalStore
from kho.client.stores.copy import Copier
from kho.client.stores.layout import INDEX_BYTES, Layout
from kho.client.stores.layout_files import LayoutBroken
from kho.client.stores.store import ContentMissing
from kho.oci.digest import Digest
from kho.oci.errors import RegistryError
from kho.remote.errors import ContentMismatch, Garbled, RemoteError
from tests.client.images import image, manifest
from tests.interop.kho_client import Kho

BAD_DIGESTS = [
    "",
    "sha256:",
    "sha256:../../canary",
    "sha256:/etc/passwd",
    f"sha256:{'A' * 64}",
    f"sha256:{'0' * 63}",
    f"sha256:{'0' * 64}\n",
    f"sha256:{'0' * 61}/..",
    f"../sha256:{'0' * 64}",
    f"md5:{'0' * 32}",
    "sha256",
    "\x00",
]
# What must come of it: a refusal of ours, never another error.
REFUSALS = (Damaged, ContentMissing, RegistryError, RemoteError)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A canary lies beside it, where a path out of it would lead."""
    (tmp_path / "canary").write_text("untouched")
    found = tmp_path / "layout"
    (found / "blobs/sha256").mkdir(parents=True)
    (found / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return found


def listing(folder: Path, entry: object) -> None:
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def canary(folder: Path) -> None:
    assert sorted(one.name for one in folder.parent.iterdir() if one.name != "target") == [
        "canary",
        "layout",
    ]
    assert (folder.parent / "canary").read_text() == "untouched"


@pytest.mark.parametrize("digest", BAD_DIGESTS)
async def test_U6_a_digest_of_the_index_is_no_path(folder: Path, digest: str) -> None:
    entry = {"mediaType": "x", "digest": digest, "size": 1}
    listing(folder, {**entry, "annotations": {"org.opencontainers.image.ref.name": "v"}})
    with pytest.raises(REFUSALS):
        await Copier(Layout(folder), Layout(folder.parent / "target")).copy("v", ["v"])
    store = LocalStore(folder)
    with pytest.raises(LayoutBroken, match="as a digest"):
        store.images()
    with pytest.raises(LayoutBroken):
        await collect(store, patience=0)
    canary(folder)


@pytest.mark.parametrize("digest", BAD_DIGESTS)
@pytest.mark.parametrize("place", ["config", "layers", "manifests", "subject"])
async def test_U6_a_digest_of_a_manifest_is_no_path(folder: Path, digest: str, place: str) -> None:
    lie = {"mediaType": "application/octet-stream", "digest": digest, "size": 9}
    good = {**lie, "digest": str(Digest.of(b"untouched"))}
    fields: dict[str, object] = {"config": good, "layers": []}
    fields[place] = [lie] if place in ("layers", "manifests") else lie
    layout = Layout(folder)
    made = manifest(fields)
    layout.path(made.digest).write_bytes(made.content)
    layout.enlist({"mediaType": made.media_type, "digest": str(made.digest), "size": 1}, "v")
    with pytest.raises((RegistryError, Garbled)):
        await Copier(layout, Layout(folder.parent / "target")).copy("v", ["v"])
    assert not await layout.has_manifest(made.digest)
    (line,) = await listed(LocalStore(folder))
    assert line.problem
    canary(folder)


async def test_U6_the_index_that_an_image_is_said_to_be_from_is_no_path(folder: Path) -> None:
    store = LocalStore(folder)
    made = await image(store, "docker.io/library/a:1")
    for text in BAD_DIGESTS:
        with store.changing() as entries:
            entries[0]["annotations"][INDEX] = text
        assert store.images()[0].index is None
        assert await collect(store, patience=0) is not None
    assert await store.has_manifest(made.digest)
    canary(folder)


async def test_U6_content_that_is_not_its_digest_goes_nowhere(folder: Path) -> None:
    layout, target = Layout(folder), Layout(folder.parent / "target")
    made = await image(layout, "v", b"a layer")
    layout.path(Digest.of(b"a layer")).write_bytes(b"a lie!!")
    with pytest.raises(ContentMismatch):
        await Copier(layout, target).copy("v", ["v"])
    assert not target.path(Digest.of(b"a layer")).exists()
    assert not target.entries()
    layout.path(made.digest).write_bytes(b"{}")
    with pytest.raises(ContentMismatch):
        await layout.manifest("v")


def _link(path: Path) -> None:
    path.symlink_to(path.parents[3] / "canary")


def _itself(path: Path) -> None:
    path.symlink_to(path.name)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", [_link, _itself, _pipe, _folder])
@pytest.mark.parametrize("what", ["layer", "manifest", "index"])
async def test_U6_what_is_no_regular_file_is_not_read(
    folder: Path, kind: Callable[[Path], None], what: str
) -> None:
    layout, target = Layout(folder), Layout(folder.parent / "target")
    made = await image(layout, "v", b"untouched")  # what the canary says: the digest would be right
    paths = {
        "layer": layout.path(Digest.of(b"untouched")),
        "manifest": layout.path(made.digest),
        "index": folder / "index.json",
    }
    paths[what].unlink()
    kind(paths[what])
    with pytest.raises(LayoutBroken, match=r"symbolic link|no regular file"):
        await Copier(layout, target).copy("v", ["v"])
    assert what == "index" or not await layout.has_manifest(made.digest)
    assert not target.entries()
    canary(folder)


@pytest.mark.parametrize("name", ["index.lock", "ingest/PART", "store.lock"])
async def test_U6_links_are_not_written_through(folder: Path, name: str) -> None:
    source = Layout(folder.parent / "layout")
    await image(source, "v", b"content")
    target = LocalStore(folder.parent / "target")
    target.prepare()
    (target.folder / "ingest").mkdir()
    where = name.replace("PART", f"sha256-{Digest.of(b'content').hex}")
    (target.folder / where).symlink_to("../canary" if "/" not in name else "../../canary")
    if name == "store.lock":  # nothing is written into it: without it nothing is locked
        await Copier(source, target).copy("v", ["v"])
    else:
        with pytest.raises(OSError, match="symbolic links"):
            await Copier(source, target).copy("v", ["v"])
    assert (folder.parent / "canary").read_text() == "untouched"


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("index.json", b"[]", "not a JSON object"),
        ("index.json", b"{", "JSON"),
        ("index.json", b"[" * 100_000, "deep"),
        ("index.json", b'{"manifests":{}}', "no list of descriptors"),
        ("index.json", b'{"manifests":["x"]}', "no list of descriptors"),
        ("index.json", b'{"a":1,"a":2}', "twice"),
        ("index.json", b" " * (INDEX_BYTES + 1), f"more than {INDEX_BYTES} bytes"),
        ("oci-layout", b'{"imageLayoutVersion":"2.0.0"}', "another version"),
        ("oci-layout", b"{}", "another version"),
    ],
)
async def test_U6_an_index_that_is_none_is_refused_in_one_line(
    folder: Path, name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    (folder / name).write_bytes(content)
    told = Kho(tmp_path / "home").refused("copy", f"oci:{folder}:v", f"oci:{tmp_path}/target:v")
    assert words in told
    assert str(folder) in told
    assert told.startswith("kho: ")
    assert told.count("\n") == 1


def test_U6_names_do_nothing_to_a_terminal(folder: Path, tmp_path: Path) -> None:
    kho = Kho(tmp_path / "home")
    listing(
        folder,
        {
            "mediaType": "x",
            "digest": str(Digest.of(b"")),
            "size": 1,
            "annotations": {"org.opencontainers.image.ref.name": "a\x1b]0;b\x07\nc\r"},
        },
    )
    kho.env["KHO_STORE"] = str(folder)
    told = kho.run("images")
    assert "\x1b" not in told
    assert "\r" not in told
    assert told.count("\n") == 2
