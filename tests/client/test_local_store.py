"""The local store: what a pull keeps, what costs nothing the second time, what is collected."""

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kho.cli.ages import age
from kho.client.errors import Missing, Misused
from kho.client.local.gc import collect
from kho.client.local.listing import listed, matches
from kho.client.local.pull import Puller
from kho.client.local.push import origins
from kho.client.local.store import LocalStore
from kho.client.places import open_read
from kho.client.progress import SILENT, Outcome
from kho.client.stores.copy import Copier, PlatformMissing
from kho.client.stores.layout import Layout
from kho.client.stores.registry_store import RegistryStore
from kho.oci import media_types
from kho.oci.digest import Digest
from kho.oci.manifest import parse_manifest
from kho.oci.platform import Platform
from kho.oci.reference import Reference
from kho.remote.manifests import Found, Manifest
from kho.remote.registry import Registry

from .images import descriptor, image, index, manifest

ARM = Platform.parse("arm64")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """An empty one."""
    return LocalStore(tmp_path / "store")


@pytest.fixture
async def two(layout: Layout, repository: RegistryStore) -> tuple[Manifest, Manifest, Manifest]:
    """An index of two platforms at the registry, tagged 1: it, and its images."""
    arm = await image(layout, None, os.urandom(2000), architecture="arm64")
    intel = await image(layout, None, os.urandom(3000))
    both = await index(layout, "1", ("linux/amd64", intel), ("linux/arm64", arm))
    await Copier(layout, repository).copy("1", ["1"])
    return both, intel, arm


def reference(repository: RegistryStore, rest: str = ":1") -> Reference:
    return Reference.parse(f"{repository.name}{rest}")


class Counted(RegistryStore):
    """Counts what is asked of it."""

    def __init__(self, of: RegistryStore) -> None:
        super().__init__(of.registry, of.repository)
        self.asked: list[str] = []

    async def manifest(self, target: str) -> Manifest:
        self.asked.append("GET")
        return await super().manifest(target)

    async def find(self, target: str) -> Found:
        self.asked.append("HEAD")
        return await super().find(target)


async def test_one_platform_of_an_index_is_kept_with_the_index_that_it_is_from(
    store: LocalStore,
    repository: RegistryStore,
    two: tuple[Manifest, Manifest, Manifest],
    other: Layout,
) -> None:
    both, intel, arm = two
    ref = reference(repository)
    pulled = await Puller(store).pull(repository, ref, ARM)
    assert (pulled.told, pulled.digest) == (both.digest, arm.digest)
    one = store.get(str(ref))
    assert (one.digest, one.index, one.sources) == (arm.digest, both.digest, (repository.name,))
    assert store.stored(both.digest) is not None
    assert store.stored(intel.digest) is None
    assert store.find(f"{repository.name}@{both.digest}") == one
    assert store.find(both.digest.hex[:8]) == store.find(arm.digest.hex[:6]) == one
    copied = await Copier(store, other).copy(str(ref), ["again"])
    assert copied.digest == arm.digest


async def test_the_second_pull_is_one_head(
    store: LocalStore, repository: RegistryStore, two: tuple[Manifest, Manifest, Manifest]
) -> None:
    both, *_ = two
    counted = Counted(repository)
    ref = reference(repository)
    first = await Puller(store).pull(counted, ref, ARM)
    assert not first.unchanged
    assert counted.asked == ["GET", "GET"]
    counted.asked.clear()
    before = (store.folder / "index.json").stat().st_mtime_ns
    again = await Puller(store).pull(counted, ref, ARM)
    assert again.unchanged
    assert again.outcomes == {}
    assert counted.asked == ["HEAD"]
    assert (store.folder / "index.json").stat().st_mtime_ns == before
    counted.asked.clear()
    await Puller(store).pull(counted, reference(repository, f"@{both.digest}"), ARM)
    assert counted.asked == []
    whole = await Puller(store).pull(counted, ref, every=True)
    assert counted.asked == ["HEAD", "GET"]
    assert (whole.digest, whole.told) == (both.digest, both.digest)
    assert await store.has_manifest(both.digest)


async def test_a_tag_that_moved_is_followed(
    layout: Layout, store: LocalStore, repository: RegistryStore
) -> None:
    ref = reference(repository)
    old = await image(layout, "old")
    await Copier(layout, repository).copy("old", ["1"])
    await Puller(store).pull(repository, ref)
    new = await image(layout, "new")
    await Copier(layout, repository).copy("new", ["1"])
    pulled = await Puller(store).pull(repository, ref)
    assert pulled.digest == new.digest != old.digest
    assert [one.digest for one in store.images()] == [new.digest]


async def test_an_image_for_another_platform_is_not_taken_for_the_one_wanted(
    store: LocalStore, repository: RegistryStore, layout: Layout
) -> None:
    await image(layout, "v")
    await Copier(layout, repository).copy("v", ["1"])
    with pytest.raises(PlatformMissing, match="no image for linux/arm64; it is one for linux/amd"):
        await Puller(store).pull(repository, reference(repository), ARM)
    assert not store.images()
    await Puller(store).pull(repository, reference(repository), Platform.parse("amd64"))


async def test_two_pulls_at_once_fetch_each_layer_once(
    tmp_path: Path, repository: RegistryStore, layout: Layout
) -> None:
    shared = os.urandom(3_000_000)
    for name in ("1", "2"):
        await image(layout, name, shared, os.urandom(10))
        await Copier(layout, repository).copy(name, [name])
    pulls = [
        Puller(LocalStore(tmp_path / "store")).pull(repository, reference(repository, f":{name}"))
        for name in ("1", "2", "1", "2")
    ]
    done = await asyncio.gather(*pulls)
    told = [one.outcomes.get(Digest.of(shared), Outcome.PRESENT) for one in done]
    assert sorted(one.value for one in told) == ["already there"] * 3 + ["copied"]
    assert {one.name for one in LocalStore(tmp_path / "store").images()} == {
        str(reference(repository, f":{name}")) for name in ("1", "2")
    }


# Names


async def test_names_are_given_and_taken(store: LocalStore) -> None:
    made = await image(store, "docker.io/library/a:1")
    await store.tag("a:1", Reference.parse("b:2"))
    await store.tag(made.digest.hex[:6], Reference.parse("b:2"))
    assert sorted(str(one.name) for one in store.images()) == [
        "docker.io/library/a:1",
        "docker.io/library/b:2",
    ]
    store.untag([store.get("a:1")])
    with pytest.raises(Missing, match="no image 'a:1'"):
        store.get("a:1")
    with pytest.raises(Misused, match="has a digest"):
        await store.tag("b:2", Reference.parse(f"b@{made.digest}"))


async def test_digits_that_fit_several_images_are_refused(store: LocalStore) -> None:
    made = [await image(store, f"docker.io/library/a:{number}") for number in range(2)]
    assert store.find(made[0].digest.hex[:20]) == store.get("a:0")
    assert store.find(str(made[1].digest)) == store.get("a:1")
    assert store.find(made[0].digest.hex[:5]) is None
    index_of_both = manifest(
        {"manifests": [descriptor(one) for one in made]}, media_types.OCI_INDEX
    )
    await store.keep(index_of_both)
    for number, one in enumerate(made):
        await store.enroll(one, f"docker.io/library/c:{number}", index=index_of_both.digest)
    with pytest.raises(Misused, match="fits several"):
        store.find(index_of_both.digest.hex[:12])


@pytest.mark.parametrize(
    "name, pattern, fits",
    [
        ("docker.io/library/debian:12", "debian", True),
        ("docker.io/library/debian:12", "debian:12", True),
        ("docker.io/library/debian:12", "deb*", True),
        ("docker.io/library/debian:12", "debian:13", False),
        ("docker.io/team/app:1", "team/app", True),
        ("127.0.0.1:5000/app:1", "*/app:1", True),
        ("127.0.0.1:5000/app:1", "127.0.0.1:5000/*", True),
        ("127.0.0.1:5000/app:1", "app", False),
        (None, "*", False),
    ],
)
def test_names_by_globs(name: str | None, pattern: str, *, fits: bool) -> None:
    assert matches(name, pattern) is fits


async def test_lists_tell_size_and_platform_and_what_is_damaged(store: LocalStore) -> None:
    shared = os.urandom(1000)
    arm = await image(store, None, shared, architecture="arm64")
    made = await image(store, "docker.io/library/a:1", shared, os.urandom(500))
    both = await index(store, "docker.io/library/b:1", ("linux/amd64", made), ("linux/arm64", arm))
    bad = await image(store, "docker.io/library/c:1")
    store.path(bad.digest).write_bytes(b"rot")
    one, two, three = await listed(store)
    assert (one.tag, one.platforms, one.size > 1500) == ("1", ("linux/amd64",), True)
    assert (two.named.digest, two.platforms) == (both.digest, ("linux/amd64", "linux/arm64"))
    assert 1500 < two.size < 2000
    assert three.problem is not None
    assert "damaged" in three.problem


# What is collected


async def test_what_no_name_reaches_goes(store: LocalStore) -> None:
    shared = os.urandom(1000)
    gone = await image(store, "docker.io/library/a:1", shared, os.urandom(500))
    kept = await image(store, "docker.io/library/b:1", shared)
    store.untag([store.get("a:1")])
    collected = await collect(store, patience=0)
    assert collected is not None
    assert gone.digest in collected.digests
    assert len(collected.digests) == 2  # the manifest and its own layer; the configs are the same
    assert collected.size == 500 + len(gone.content)
    assert await store.has_manifest(kept.digest)


async def test_signatures_stay_with_what_they_sign_and_go_with_it(store: LocalStore) -> None:
    made = await image(store, "docker.io/library/a:1")
    signature = await image(store, None, subject=descriptor(made))
    await image(store, None, subject=descriptor(signature))
    nobody = await image(store, None, subject=descriptor(manifest({"x": 1})))
    collected = await collect(store, patience=0)
    assert collected is not None
    assert nobody.digest in collected.digests
    assert await store.has_manifest(signature.digest)
    assert len(store.images()) == 3
    store.untag([store.get("a:1")])
    await collect(store, patience=0)
    assert store.images() == []
    assert not list((store.folder / "blobs/sha256").iterdir())


async def test_the_index_of_one_platform_stays_without_its_rest(
    store: LocalStore, repository: RegistryStore, two: tuple[Manifest, Manifest, Manifest]
) -> None:
    both, _, arm = two
    await Puller(store).pull(repository, reference(repository), ARM)
    assert (await collect(store, patience=0)) is not None
    assert store.stored(both.digest) is not None
    assert await store.has_manifest(arm.digest)


async def test_what_others_have_just_found_is_not_deleted_under_them(
    store: LocalStore, layout: Layout
) -> None:
    made = await image(layout, "v", os.urandom(1000))
    puller = LocalStore(store.folder)
    blob = parse_manifest(made.content, None).references[1]
    await puller.take_blob(blob, layout, SILENT)
    assert await collect(store, patience=0.1) is None
    assert store.holds(blob)
    waiting = asyncio.create_task(collect(store, patience=5))
    await asyncio.sleep(0.1)
    await Copier(layout, puller).copy("v", ["docker.io/library/a:1"])
    puller.release()
    collected = await waiting
    assert collected is not None
    assert collected.digests == []
    assert await store.has_manifest(made.digest)


async def test_old_parts_go_and_those_of_today_stay(store: LocalStore) -> None:
    await image(store, "docker.io/library/a:1")
    ingest = store.folder / "ingest"
    ingest.mkdir()
    old, new = ingest / f"sha256-{'0' * 64}", ingest / f"sha256-{'1' * 64}"
    for path in (old, new, store.folder / ".index.json.dead"):
        path.write_bytes(b"part")
    for path in (old, store.folder / ".index.json.dead"):
        os.utime(path, (time.time() - 90_000,) * 2)
    collected = await collect(store, patience=0)
    assert collected is not None
    assert (collected.parts, collected.size) == (2, 8)
    assert new.exists()


async def test_images_without_a_name_go_where_that_is_wanted(store: LocalStore) -> None:
    made = await image(store, "docker.io/library/a:1")
    with store.changing() as entries:
        del entries[0]["annotations"]
    assert await collect(store, patience=0) is not None
    assert await store.has_manifest(made.digest)
    assert await collect(store, patience=0, unnamed=True) is not None
    assert not store.images()


# Where it is from


async def test_layers_are_mounted_from_where_the_store_has_them_from(
    store: LocalStore, repository: RegistryStore, registry: Registry, layout: Layout
) -> None:
    await image(layout, "v", os.urandom(1000))
    await Copier(layout, repository).copy("v", ["1"])
    ref = reference(repository)
    await Puller(store).pull(repository, ref)
    known = origins(store, registry.name)
    assert set(map(tuple, known.values())) == {(repository.repository,)}
    assert origins(store, "ghcr.io") == {}
    target = RegistryStore(registry, f"{repository.repository}/mounted", origins=known)
    copied = await Copier(store, target).copy(str(ref), ["1"])
    assert set(copied.outcomes.values()) == {Outcome.MOUNTED}
    wrong = {digest: ["not/there"] for digest in known}
    target = RegistryStore(registry, f"{repository.repository}/sent", origins=wrong)
    copied = await Copier(store, target).copy(str(ref), ["1"])
    assert set(copied.outcomes.values()) == {Outcome.COPIED}
    store.came_from(copied.digest, [target.name])
    assert store.get(str(ref)).sources == (repository.name, target.name)


async def test_a_reading_command_asks_the_registry_for_a_platform_that_is_not_here(
    store: LocalStore,
    repository: RegistryStore,
    registry: Registry,
    two: tuple[Manifest, Manifest, Manifest],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KHO_STORE", str(store.folder))
    _, intel, arm = two
    ref = reference(repository)
    await Puller(store).pull(repository, ref, ARM)
    for wanted, near in ((None, True), (ARM, True), (Platform.parse("amd64"), False)):
        place = await open_read(str(ref), lambda _: registry, wanted)
        assert isinstance(place.store, LocalStore) is near
        if near:
            assert place.target == str(arm.digest)
    del intel


@pytest.mark.parametrize(
    "text, told",
    [
        ("2026-11-23T11:59:30Z", "30 seconds ago"),
        ("2026-11-23T11:00:00.123456789Z", "59 minutes ago"),
        ("2026-11-21T12:00:00+00:00", "2 days ago"),
        ("2026-11-22T13:00:00+01:00", "24 hours ago"),
        ("2026-08-01T00:00:00Z", "3 months ago"),
        ("2019-01-01T00:00:00", "7 years ago"),
        ("2027-01-01T00:00:00Z", "0 seconds ago"),
        ("0001-01-01T00:00:00Z", ""),
        ("yesterday", ""),
    ],
)
def test_ages(text: str, told: str) -> None:
    assert age(text, datetime(2026, 11, 23, 12, tzinfo=UTC)) == told
