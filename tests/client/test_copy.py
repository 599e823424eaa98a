"""Images go from store to store whole, each content once; what is missing or lies is told."""

import asyncio
import os
from pathlib import Path

import pytest

from kho.client.progress import Outcome
from kho.client.stores.copy import Copier, PlatformMissing
from kho.client.stores.layout import Layout
from kho.client.stores.registry_store import RegistryStore
from kho.client.stores.store import ContentMissing
from kho.oci.platform import Platform
from kho.remote.errors import ContentMismatch, NotFound
from kho.remote.registry import Registry

from .images import content_of, descriptor, image, index

Store = Layout | RegistryStore


@pytest.fixture(params=["layout", "registry"])
def target(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue("other" if request.param == "layout" else "repository")
    return found


async def test_an_image_arrives_and_comes_back(
    layout: Layout, target: Store, tmp_path: Path
) -> None:
    made = await image(layout, "v1", os.urandom(300_000), b"", os.urandom(5))
    there = await Copier(layout, target).copy("v1", ["a", "b"])
    assert there.digest == made.digest
    assert set(there.outcomes.values()) == {Outcome.COPIED}
    assert [tag async for tag in target.tags()] == ["a", "b"]

    back = Layout(tmp_path / "back")
    await Copier(target, back).copy("b", ["v1"])
    assert content_of(back.folder) == content_of(layout.folder)
    assert (await back.manifest("v1")).content == made.content


async def test_what_is_there_is_not_sent_again(layout: Layout, target: Store) -> None:
    shared = os.urandom(1000)
    await image(layout, "v1", shared)
    await image(layout, "v2", shared, os.urandom(1000))
    await Copier(layout, target).copy("v1", ["v1"])
    again = await Copier(layout, target).copy("v1", ["v1"])
    assert again.outcomes == {}
    more = await Copier(layout, target).copy("v2", ["v2"])
    assert sorted(one.value for one in more.outcomes.values()) == [
        "already there",
        "already there",
        "copied",
    ]


async def test_layers_that_images_share_are_moved_once(layout: Layout, target: Store) -> None:
    shared = os.urandom(100_000)
    images = [
        (f"linux/{one}", await image(layout, None, shared, architecture=one))
        for one in ("amd64", "arm64", "riscv64")
    ]
    made = await index(layout, "v1", *images)
    copied = await Copier(layout, target, parallel=8).copy("v1", ["v1"])
    assert copied.digest == made.digest
    assert list(copied.outcomes.values()) == [Outcome.COPIED] * 4


async def test_one_platform_of_an_index(layout: Layout, target: Store) -> None:
    arm = await image(layout, None, architecture="arm64")
    intel = await image(layout, None, architecture="amd64")
    await index(layout, "v1", ("linux/amd64", intel), ("linux/arm64", arm))
    copied = await Copier(layout, target).copy("v1", ["v1"], Platform.parse("arm64"))
    assert copied.digest == arm.digest
    assert not await target.has_manifest(intel.digest)
    with pytest.raises(PlatformMissing, match="there are: linux/amd64, linux/arm64"):
        await Copier(layout, target).copy("v1", ["v1"], Platform.parse("s390x"))


async def test_referrers_go_along_where_they_are_wanted(layout: Layout, target: Store) -> None:
    made = await image(layout, "v1")
    sbom = await image(layout, None, subject=descriptor(made))
    signed = await image(layout, None, subject=descriptor(sbom))
    await Copier(layout, target).copy("v1", ["v1"])
    assert await target.referrers(made.digest) == []
    await Copier(layout, target, referrers=True).copy("v1", ["v1"])
    (found,) = await target.referrers(made.digest)
    assert found["digest"] == str(sbom.digest)
    assert await target.has_manifest(signed.digest)


async def test_within_a_registry_blobs_are_mounted(
    layout: Layout, registry: Registry, repository: RegistryStore
) -> None:
    await image(layout, "v1", os.urandom(1000))
    await Copier(layout, repository).copy("v1", ["v1"])
    beside = RegistryStore(registry, repository.repository + "/beside")
    copied = await Copier(repository, beside).copy("v1", ["v1"])
    assert set(copied.outcomes.values()) == {Outcome.MOUNTED}


async def test_what_is_not_there(layout: Layout, repository: RegistryStore, other: Layout) -> None:
    with pytest.raises(ContentMissing, match="has no image v1"):
        await Copier(layout, other).copy("v1", ["v1"])
    with pytest.raises(NotFound):
        await Copier(repository, other).copy("v1", ["v1"])


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 1000, b"x" * 1001])
async def test_damaged_content_goes_nowhere(layout: Layout, target: Store, damage: bytes) -> None:
    made = await image(layout, "v1", os.urandom(1000))
    layer = next(
        path for path in (layout.folder / "blobs/sha256").iterdir() if path.stat().st_size == 1000
    )
    layer.write_bytes(damage)
    with pytest.raises(ContentMismatch, match=layer.name):
        await Copier(layout, target).copy("v1", ["v1"])
    assert not await target.has_manifest(made.digest)
    if isinstance(target, Layout):
        assert layer.name not in content_of(target.folder)
        assert not (target.folder / "ingest" / f"sha256-{layer.name}").exists()


async def test_many_at_once_into_one_folder(layout: Layout, other: Layout) -> None:
    shared = os.urandom(200_000)
    for number in range(8):
        await image(layout, f"v{number}", shared, os.urandom(1000))
    copies = [Copier(layout, Layout(other.folder)).copy(f"v{n}", [f"v{n}"]) for n in range(8)]
    copied = await asyncio.gather(*copies)
    moved = [outcome for one in copied for outcome in one.outcomes.values()]
    # Eight layers of their own, the shared one and the config.
    assert moved.count(Outcome.COPIED) == 10
    assert sorted([tag async for tag in other.tags()]) == [f"v{n}" for n in range(8)]
