"""Files beside images and on their own: found again, put nowhere else, deleted when told."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kho.client.building.artifact import EMPTY_TYPE, TITLE, UNKNOWN_TYPE, Artifact, File
from kho.client.building.artifact_files import contents, fetch
from kho.client.building.attach import Found, all_referrers, push_artifact
from kho.client.building.deletion import delete_image, delete_tag
from kho.client.errors import Damaged, Misused
from kho.client.stores.copy import Copier
from kho.client.stores.layout import Layout
from kho.client.stores.referrers_tag import enlist, strike
from kho.client.stores.registry_store import RegistryStore
from kho.client.stores.store import ContentMissing
from kho.oci import media_types
from kho.oci.digest import Digest
from kho.remote import manifests
from kho.remote.errors import Garbled, NotFound
from kho.remote.manifests import Manifest
from kho.remote.referrers import Referrer, fallback_tag

from .images import blob, image, manifest

Store = Layout | RegistryStore
SBOM = "application/spdx+json"


@pytest.fixture(params=["layout", "registry"])
async def store(
    request: pytest.FixtureRequest, layout: Layout, repository: RegistryStore, other: Layout
) -> Store:
    """One with an image `1` in it."""
    made = await image(layout, "1")
    target: Store = other if request.param == "layout" else repository
    await Copier(layout, target).copy(str(made.digest), ["1"])
    return target


@pytest.fixture
def sbom(tmp_path: Path) -> Path:
    found = tmp_path / "sbom.json"
    found.write_text("{}" + "x" * 1000)
    return found


async def attached(
    store: Store, subject: Manifest, *files: str | Path, kind: str = SBOM, **said: str
) -> Manifest:
    parsed = [File.parse(str(one)) for one in files]
    return await push_artifact(Artifact(parsed, kind, said, subject), store, None)


async def listed(store: Store, digest: Digest, **options: Any) -> list[Found]:
    return [one async for one in all_referrers(store, digest, **options)]


async def test_what_is_attached_is_found(store: Store, sbom: Path) -> None:
    subject = await store.manifest("1")
    made = await attached(store, subject, f"{sbom}:text/x", who="me")
    value = json.loads(made.content)
    assert value["config"] == value["config"] | {"mediaType": EMPTY_TYPE, "size": 2, "data": "e30="}
    assert value["layers"][0]["mediaType"] == "text/x"
    assert value["layers"][0]["annotations"] == {TITLE: "sbom.json"}
    [found] = await listed(store, subject.digest)
    assert (found.digest, found.depth, found.artifact_type) == (made.digest, 1, SBOM)
    assert [one async for one in store.tags()] == ["1"]


async def test_the_same_files_are_there_once(store: Store, sbom: Path) -> None:
    subject = await store.manifest("1")
    first = await attached(store, subject, sbom)
    sbom.touch()
    second = await attached(store, subject, sbom)
    assert first == second
    assert len(await listed(store, subject.digest)) == 1


async def test_what_refers_to_referrers(store: Store, sbom: Path) -> None:
    subject = await store.manifest("1")
    first = await attached(store, subject, sbom)
    second = await attached(store, first, sbom, kind="a/signature")
    third = await attached(store, subject, kind="a/nothing")
    tree = [(one.depth, one.digest) for one in await listed(store, subject.digest, recursive=True)]
    assert (2, second.digest) == tree[tree.index((1, first.digest)) + 1]
    assert set(tree) == {(1, first.digest), (2, second.digest), (1, third.digest)}
    [only] = await listed(store, subject.digest, artifact_type="a/nothing")
    assert only.digest == third.digest


async def test_a_type_is_wanted_and_names_are_told_apart(
    store: Store, sbom: Path, tmp_path: Path
) -> None:
    subject = await store.manifest("1")
    for kind in ("", "sbom", "a/b/c", "a b/c"):
        with pytest.raises(Misused, match="expected a media type"):
            await attached(store, subject, sbom, kind=kind)
    (tmp_path / "x").mkdir()
    (tmp_path / "x/sbom.json").touch()
    with pytest.raises(Misused, match=r"two files are called sbom\.json"):
        await attached(store, subject, sbom, tmp_path / "x/sbom.json")


def test_a_file_and_its_type(tmp_path: Path) -> None:
    odd = tmp_path / "a:b/c"
    odd.parent.mkdir()
    odd.touch()
    assert File.parse("a.json:text/plain") == File(Path("a.json"), "text/plain")
    assert File.parse("a:b") == File(Path("a:b"))
    assert File.parse(str(odd)) == File(odd)


class Endless(Layout):
    """Every manifest has a referrer, which has one."""

    async def referrers(self, digest: Digest) -> list[Referrer]:
        return [{"digest": str(Digest.of(str(digest).encode())), "artifactType": "a/b"}]


class Circle(Layout):
    """Two that refer to each other."""

    async def referrers(self, digest: Digest) -> list[Referrer]:
        del digest
        return [{"digest": str(Digest.of(one))} for one in (b"1", b"2")]


async def test_referrers_without_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Damaged, match="referrers of referrers 16 deep"):
        await listed(Endless(tmp_path), Digest.of(b"1"), recursive=True)
    assert len(await listed(Circle(tmp_path), Digest.of(b"1"), recursive=True)) == 1


# Lists that clients keep, where the registry does not.


async def told(repository: RegistryStore, subject: Digest) -> list[str]:
    found = await manifests.get(repository.registry, repository.repository, fallback_tag(subject))
    return [one["digest"] for one in json.loads(found.content)["manifests"]]


async def test_a_list_by_tag_is_kept(repository: RegistryStore, layout: Layout) -> None:
    subject = await image(layout, "1")
    await Copier(layout, repository).copy("1", ["1"])
    empty = blob(layout, b"{}", EMPTY_TYPE)
    more: dict[str, Any] = {"artifactType": "a/b", "config": empty, "layers": [empty]}
    about = {
        "mediaType": subject.media_type,
        "digest": str(subject.digest),
        "size": len(subject.content),
    }
    made = [
        manifest({**more, "subject": about, "annotations": {"n": str(one)}}) for one in range(3)
    ]
    for one in made:
        await layout.take_manifest(one, "x")
        await Copier(layout, repository).copy(str(one.digest))
        await enlist(repository.registry, repository.repository, one)
        await enlist(repository.registry, repository.repository, one)
    digests = [str(one.digest) for one in made]
    assert await told(repository, subject.digest) == digests
    await strike(repository.registry, repository.repository, subject.digest, made[1].digest)
    assert await told(repository, subject.digest) == [digests[0], digests[2]]
    await delete_image(repository, made[0].digest)
    assert await told(repository, subject.digest) == [digests[2]]


async def test_what_is_no_list_is_left_alone(repository: RegistryStore, layout: Layout) -> None:
    subject = await image(layout, "1")
    await Copier(layout, repository).copy("1", ["1", fallback_tag(subject.digest)])
    with pytest.raises(Garbled, match="is no index"):
        await strike(repository.registry, repository.repository, subject.digest, subject.digest)


# Deletion.


async def test_a_tag_goes_and_the_image_stays(repository: RegistryStore, layout: Layout) -> None:
    made = await image(layout, "1")
    await Copier(layout, repository).copy("1", ["1", "2"])
    assert await delete_tag(repository, "1") == made.digest
    assert [one async for one in repository.tags()] == ["2"]
    with pytest.raises(ContentMissing):
        await delete_tag(repository, "1")
    assert await delete_image(repository, made.digest) == [made.digest]
    with pytest.raises(NotFound):
        await delete_image(repository, made.digest)


async def test_an_image_goes_with_what_refers_to_it(
    repository: RegistryStore, layout: Layout, sbom: Path
) -> None:
    made = await image(layout, "1")
    await Copier(layout, repository).copy("1", ["1"])
    first = await attached(repository, made, sbom)
    second = await attached(repository, first, sbom)
    gone = await delete_image(repository, made.digest, referrers=True)
    assert list(gone) == [second.digest, first.digest, made.digest]
    for digest in gone:
        assert not await repository.has_manifest(digest)


# Artifacts.


@pytest.fixture
async def artifact(repository: RegistryStore, tmp_path: Path) -> Manifest:
    """Two files and a folder."""
    (tmp_path / "one").write_bytes(os.urandom(300_000))
    (tmp_path / "two").touch()
    (tmp_path / "all/of").mkdir(parents=True)
    (tmp_path / "all/of/it").write_text("it")
    files = [File(tmp_path / one) for one in ("one", "two", "all")]
    return await push_artifact(Artifact(files), repository, "1")


async def test_files_arrive_and_come_back(
    artifact: Manifest, repository: RegistryStore, tmp_path: Path
) -> None:
    assert json.loads(artifact.content)["artifactType"] == UNKNOWN_TYPE
    notes: list[str] = []
    files = contents(artifact, "x", notes.append)
    assert [one.name for one in files] == ["one", "two", "all.tar.gz"]
    assert notes == ["all.tar.gz: a folder; kept packed"]
    folder = tmp_path / "new/folder"
    await fetch(repository, files, folder)
    assert (folder / "one").read_bytes() == (tmp_path / "one").read_bytes()
    assert sorted(one.name for one in folder.iterdir()) == ["all.tar.gz", "one", "two"]


async def test_nothing_is_written_over(
    artifact: Manifest, repository: RegistryStore, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "two").write_text("mine")
    files = contents(artifact, "x")
    with pytest.raises(Misused, match="two is there already; --force"):
        await fetch(repository, files, folder)
    assert [one.name for one in folder.iterdir()] == ["two"]
    await fetch(repository, files, folder, force=True)
    assert (folder / "two").read_bytes() == b""


def titled(layout: Layout, *titles: str | None, **more: str) -> Manifest:
    empty = blob(layout, b"{}", EMPTY_TYPE)
    said = [{} if one is None else {"annotations": {TITLE: one, **more}} for one in titles]
    layers = [{**blob(layout, b"evil", "a/b"), **one} for one in said]
    return manifest({"artifactType": "a/b", "config": empty, "layers": layers})


@pytest.mark.parametrize(
    "title",
    [
        "../../x",
        "..",
        ".",
        "a/../../x",
        "/etc/passwd",
        "//x",
        "a//b",
        "a/",
        "./a",
        "C:\\x",
        "C:x",
        "..\\x",
        "a\x00b",
        "a\nb",
        "\x1b[2J",
        "a\u202eb",
        "NUL",
        "aux.txt",
        "d/COM1",
        "x" * 256,
        "d/" * 2048 + "x",
    ],
)
def test_names_that_lead_elsewhere_are_refused(layout: Layout, title: str) -> None:
    with pytest.raises(Damaged, match="allowed are paths below the folder") as raised:
        contents(titled(layout, "good", title), "x")
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("titles", [("a", "a"), ("a", "a/b"), ("a/b/c", "a/b")])
def test_names_that_stand_in_each_others_way(layout: Layout, titles: tuple[str, str]) -> None:
    with pytest.raises(Damaged, match=r"two files are called|is in a file"):
        contents(titled(layout, *titles), "x")


async def test_links_in_the_folder_lead_nowhere(layout: Layout, tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (folder / "d").symlink_to(outside)
    (folder / "f").symlink_to(outside / "f")
    for title in ("d/x", "f"):
        files = contents(titled(layout, title), "x")
        with pytest.raises(Misused):
            await fetch(layout, files, folder)
    with pytest.raises(Misused, match="d is there and is no folder"):
        await fetch(layout, contents(titled(layout, "d/x"), "x"), folder, force=True)
    await fetch(layout, contents(titled(layout, "f"), "x"), folder, force=True)
    assert not (folder / "f").is_symlink()
    assert list(outside.iterdir()) == []


async def test_content_that_is_not_what_it_should_be_leaves_nothing(
    layout: Layout, tmp_path: Path
) -> None:
    files = contents(titled(layout, "d/x"), "x")
    layout.path(files[0].content.digest).write_bytes(b"live")
    with pytest.raises(Exception, match="has the digest"):
        await fetch(layout, files, tmp_path / "new")
    assert [one.name for one in (tmp_path / "new").rglob("*")] == ["d"]


def test_content_without_a_name_is_told(layout: Layout) -> None:
    notes: list[str] = []
    assert contents(titled(layout, None), "x", notes.append) == []
    assert len(notes) == 1
    index = manifest({"manifests": []}, media_types.OCI_INDEX)
    with pytest.raises(Misused, match="is an index"):
        contents(index, "x")
