"""Images are changed and put on other bases; what is not meant stays to the byte."""

from pathlib import Path
from typing import Any

import pytest

from kho.client.building.append import Addition, Appending, append, pack_layer
from kho.client.building.built import deliver
from kho.client.building.mutate import Change, mutate
from kho.client.building.pack import Packing
from kho.client.building.rebase import Base, Rebase
from kho.client.errors import Damaged, Misused
from kho.client.images.image import Image, open_image
from kho.client.progress import Outcome, Progress
from kho.client.stores.layout import Layout
from kho.client.stores.registry_store import RegistryStore
from kho.layers.compression import Compression
from kho.oci import media_types
from kho.oci.platform import Platform
from kho.oci.strict_json import parse_object
from kho.remote.manifests import Manifest
from kho.remote.registry import Registry

from . import images
from .layers import file, layer
from .rootfs_images import DOCKER, rootfs_image

AMD64 = Platform.parse("amd64")


async def mutated(layout: Layout, change: Change, name: str = "image") -> Image:
    built, made = await mutate(layout, name, change)
    await deliver(built, made, layout, "new")
    return await open_image(layout, "new", AMD64)


# mutate


async def test_what_is_changed_and_what_stays(layout: Layout) -> None:
    config = {
        "Env": ["PATH=/bin", "A=1", "B=2"],
        "Labels": {"x": "1", "y": "2"},
        "Entrypoint": ["/old"],
        "Cmd": ["old"],
        "OnBuild": ["RUN x"],
        "ExposedPorts": {"80/tcp": {}, "81/tcp": {}},
        "User": "root",
    }
    await rootfs_image(layout, layer(file("a")), config=config)
    change = Change(
        labels={"x": None, "z": "3"},
        env={"A": "5", "B": None, "C": "6"},
        annotations={"note": "ü"},
        entrypoint=("/new", "-x"),
        user="",
        working_dir="/srv",
        ports={"80/tcp": False, "90/udp": True},
        volumes={"/data": True},
        stop_signal="SIGINT",
        created="2026-01-01T00:00:00Z",
        platform=Platform.parse("linux/arm/v7"),
    )
    built, made = await mutate(layout, "image", change)
    await deliver(built, made, layout, "new")
    value = (await open_image(layout, "new", Platform.parse("linux/arm/v7"))).config.value
    assert value["config"] == {
        "Env": ["PATH=/bin", "A=5", "C=6"],
        "Labels": {"y": "2", "z": "3"},
        "Entrypoint": ["/new", "-x"],
        "OnBuild": ["RUN x"],
        "ExposedPorts": {"81/tcp": {}, "90/udp": {}},
        "WorkingDir": "/srv",
        "Volumes": {"/data": {}},
        "StopSignal": "SIGINT",
    }
    assert (value["created"], value["architecture"], value["variant"]) == (
        "2026-01-01T00:00:00Z",
        "arm",
        "v7",
    )
    assert parse_object(made.content)["annotations"] == {"note": "ü"}


async def test_no_change_is_the_same_image_to_the_byte(layout: Layout) -> None:
    image = await rootfs_image(layout, layer(file("a")), config={"Env": ["A=1"]})
    _, made = await mutate(layout, "image", Change(env={"A": "1"}, labels={"x": None}))
    assert made == image.manifest


async def test_docker_stays_docker_and_unknown_fields_stay(layout: Layout) -> None:
    tar = layer(file("a"))
    await rootfs_image(layout, tar, media_type=DOCKER)
    old = parse_object((await layout.manifest("image")).content)
    old |= {"mediaType": media_types.DOCKER_MANIFEST, "com.example": [1.5, {"x": None}]}
    config: Any = old["config"]
    config |= {"mediaType": media_types.DOCKER_CONFIG, "data": "e30=", "urls": ["https://x"]}
    made = images.manifest(old, media_types.DOCKER_MANIFEST)
    await layout.take_manifest(made, "image")
    image = await mutated(layout, Change(user="1"))
    after = parse_object(image.manifest.content)
    assert image.manifest.media_type == media_types.DOCKER_MANIFEST
    assert after["com.example"] == old["com.example"]
    assert after["layers"] == old["layers"]
    assert set(after["config"]) == {"mediaType", "digest", "size", "urls"}  # type: ignore[call-overload]


async def multi(layout: Layout) -> tuple[dict[str, Any], dict[str, Any]]:
    """An index of two images, an attestation of the first, and an annotation."""
    first, second = [
        await rootfs_image(layout, layer(file(one)), name=one) for one in ("amd64", "arm64")
    ]
    said = await images.image(layout, None)
    about = {"vnd.docker.reference.digest": str(first.manifest.digest)}
    entries = [
        images.descriptor(first.manifest, platform={"os": "linux", "architecture": "amd64"}),
        images.descriptor(second.manifest, platform={"os": "linux", "architecture": "arm64"}),
        images.descriptor(
            said, platform={"os": "unknown", "architecture": "unknown"}, annotations=about
        ),
    ]
    value = {"manifests": entries, "annotations": {"a": "b"}}
    await layout.take_manifest(images.manifest(value, media_types.OCI_INDEX), "multi")
    return value, entries[2]


class Notes(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.outcomes: list[Outcome] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def end(self, content: object, outcome: Outcome) -> None:
        del content
        self.outcomes.append(outcome)


async def test_an_index_is_changed_with_all_its_images(
    layout: Layout, repository: RegistryStore
) -> None:
    value, attestation = await multi(layout)
    told = Notes()
    change = Change(user="1", annotations={"c": "d"})
    built, made = await mutate(layout, "multi", change, told=told)
    await deliver(built, made, repository, "1")
    after: Any = parse_object((await repository.manifest("1")).content)
    assert after["annotations"] == {"a": "b", "c": "d"}
    assert [one["platform"] for one in after["manifests"]] == [
        one["platform"] for one in value["manifests"][:2]
    ]
    for entry in after["manifests"]:
        image = await open_image(repository, entry["digest"])
        assert image.config.user == "1"
        assert parse_object(image.manifest.content)["annotations"] == {"c": "d"}
    assert told.notes == [
        f"left out: {attestation['digest']}, an attestation of {value['manifests'][0]['digest']}"
    ]


async def test_one_platform_of_an_index_alone(layout: Layout) -> None:
    await multi(layout)
    change = Change(user="1")
    _, made = await mutate(layout, "multi", change, platform=Platform.parse("arm64"))
    assert "manifests" not in parse_object(made.content)


async def test_indexes_in_indexes_end(layout: Layout) -> None:
    inner = (await rootfs_image(layout, layer(file("a")))).manifest
    for depth in range(8):
        value = {"manifests": [images.descriptor(inner)]}
        inner = images.manifest(value, media_types.OCI_INDEX)
        await layout.take_manifest(inner, f"deep{depth}")
    built, made = await mutate(layout, "deep3", Change(user="1"))
    await deliver(built, made, layout, "new")
    with pytest.raises(Damaged, match="indexes in indexes, more than 5 deep"):
        await mutate(layout, "deep7", Change(user="1"))


class Counting(Layout):
    """Counts what is asked of it."""

    asked = 0

    async def manifest(self, target: str) -> Manifest:
        self.asked += 1
        return await super().manifest(target)


async def test_a_wide_index_of_one_image_is_changed_once(tmp_path: Path) -> None:
    layout = Counting(tmp_path)
    one = (await rootfs_image(layout, layer(file("a")))).manifest
    value = {"manifests": [images.descriptor(one)] * 5000}
    await layout.take_manifest(images.manifest(value, media_types.OCI_INDEX), "wide")
    _, made = await mutate(layout, "wide", Change(user="1"))
    assert layout.asked < 10
    assert len(parse_object(made.content)["manifests"]) == 5000  # type: ignore[arg-type]


async def test_what_is_no_image_is_told(layout: Layout) -> None:
    empty = images.blob(layout, b"{}", "application/vnd.oci.empty.v1+json")
    thing = images.manifest({"artifactType": "a/b", "config": empty, "layers": [empty]})
    await layout.take_manifest(thing, "thing")
    with pytest.raises(Misused, match="is no image but an artifact of type a/b"):
        await mutate(layout, "thing", Change(user="1"))
    none = images.manifest({"manifests": []}, media_types.OCI_INDEX)
    await layout.take_manifest(none, "none")
    with pytest.raises(Misused, match="an index without images"):
        await mutate(layout, "none", Change(user="1"))


async def test_layers_are_mounted_from_the_repository_next_door(
    layout: Layout, repository: RegistryStore, registry: Registry
) -> None:
    await rootfs_image(layout, layer(file("a")), layer(file("b")))
    built, made = await mutate(layout, "image", Change())
    await deliver(built, made, repository, "1")
    told = Notes()
    built, made = await mutate(repository, "1", Change(user="1"))
    other = RegistryStore(registry, repository.repository + "-other")
    copied = await deliver(built, made, other, "2", told=told)
    assert sorted(one.value for one in copied.outcomes.values()) == [
        "copied",
        "mounted",
        "mounted",
    ]


# rebase


async def based(layout: Layout, name: str, version: str) -> Image:
    config = {
        "Env": ["PATH=/bin", f"VERSION={version}", f"OWN={version}"],
        "Cmd": ["sh", version],
        "Labels": {"base": version},
    }
    tars = [layer(file("os", version.encode())), layer(file("lib", version.encode()))]
    return await rootfs_image(layout, *tars[: int(version)], name=name, config=config)


async def on_top(layout: Layout, base: str, **change: Any) -> Image:
    source = layout.folder.parent / "own"
    source.mkdir(exist_ok=True)
    (source / "app").write_text("mine")
    packed = await pack_layer(source, Packing(), Compression.GZIP)
    appending = Appending([Addition(packed, "own")], Change(**change), "host.example/base:1")
    built, made = await append(layout, base, appending)
    await deliver(built, made, layout, "image")
    packed.close()
    return await open_image(layout, "image", AMD64)


async def never(text: str) -> Base:
    raise AssertionError(text)


async def test_an_image_gets_a_newer_base(layout: Layout) -> None:
    await based(layout, "old", "1")
    new = await based(layout, "new", "2")
    own = await on_top(layout, "old", env={"OWN": "mine", "APP": "1"}, labels={"own": "1"})
    rebase = Rebase(Base(layout, "old", "old"), Base(layout, "new", "b:2"), never)
    built, made = await rebase.run(layout, "image")
    await deliver(built, made, layout, "done")
    done = await open_image(layout, "done", AMD64)
    assert done.layers == (*new.layers, own.layers[-1])
    assert done.config.diff_ids == (*new.config.diff_ids, own.config.diff_ids[-1])
    assert set(done.config.env) == {"PATH=/bin", "VERSION=2", "OWN=mine", "APP=1"}
    assert done.config.command == ("sh", "2")
    assert done.config.labels == {"base": "2", "own": "1"}
    assert parse_object(made.content)["annotations"] == {
        "org.opencontainers.image.base.name": "b:2",
        "org.opencontainers.image.base.digest": str(new.manifest.digest),
    }


async def test_the_image_says_itself_what_it_is_made_on(layout: Layout) -> None:
    old = await based(layout, "old", "1")
    await on_top(layout, "old")
    await based(layout, "new", "2")
    asked: list[str] = []

    async def named(text: str) -> Base:
        asked.append(text)
        return Base(layout, "old" if "@" in text else "new", text)

    _, made = await Rebase(None, None, named).run(layout, "image")
    assert asked == [f"host.example/base@{old.manifest.digest}", "host.example/base:1"]
    assert len(parse_object(made.content)["layers"]) == 3  # type: ignore[arg-type]


async def test_an_image_that_is_not_made_on_the_base_is_refused(layout: Layout) -> None:
    await based(layout, "old", "1")
    await based(layout, "new", "2")
    await on_top(layout, "old")
    base = Base(layout, "new", "new")
    with pytest.raises(Misused, match=r"not made on new .* of its 2 layers the first 0 are"):
        await Rebase(base, base, never).run(layout, "image")
    with pytest.raises(Misused, match=r"does not say what it is made on .* --old-base"):
        await Rebase(None, None, never).run(layout, "new")
