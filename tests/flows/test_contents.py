"""What pushes leave is told to people: tags, versions, images."""

import json

import msgspec
import pytest

from kho.oci.digest import Digest
from kho.oci.errors import (
    InvalidRequest,
    ManifestUnknown,
    NameUnknown,
)
from kho.oci.media_types import OCI_MANIFEST
from kho.server.index.catalogue import tags, versions
from kho.server.index.catalogue.tags import TagQuery
from kho.server.index.catalogue.versions import VersionQuery
from kho.server.policy.access import ANYONE, NOBODY
from kho.server.registry.contents import attached as attached_tree
from kho.server.registry.contents import config as configs
from kho.server.registry.contents import image
from kho.server.registry.contents.attached import Node
from tests.flows.contents import SIGNATURE, config, listing, push, reader
from tests.flows.databases import on_both_databases
from tests.flows.people import People, resources_of
from tests.flows.registry import Registry
from tests.oci.samples import Json, descriptor, index
from tests.oci.samples import image as manifest_of


@on_both_databases
async def test_tags_and_versions_tell_of_pushes(registry: Registry) -> None:
    resources = resources_of(registry)
    one = await push(registry, "a", "1.9", config(), b"layer")
    await push(registry, "a", "1.10", config(), b"layer")
    arm = await push(registry, "a", None, config(architecture="arm64"), b"layer")
    children = [
        descriptor(child, OCI_MANIFEST, platform={"os": "linux", "architecture": name})
        for child, name in ((one, "amd64"), (arm, "arm64"))
    ]
    both = await registry.push_manifest("a", "2", index() | {"manifests": children})
    signature = await push(
        registry,
        "a",
        None,
        b"{}",
        artifactType=SIGNATURE,
        subject=descriptor(one, OCI_MANIFEST),
    )
    page = await tags.page(resources, "a", TagQuery())
    assert [one.name for one in page.tags] == ["1.9", "1.10", "2"]
    first, _, last = page.tags
    assert (first.kind, first.platforms, first.aliases) == ("image", ("linux/amd64",), ("1.10",))
    assert (first.size, first.signature) == (len(one) + len(config()) + 5, "present")
    assert (last.kind, last.platforms) == ("index", ("linux/amd64", "linux/arm64"))
    assert last.signature == "none"
    sized = await tags.page(resources, "a", TagQuery(order="size", descending=True, limit=1))
    assert [one.name for one in sized.tags] == ["2"]
    rest = TagQuery(order="size", descending=True, cursor=sized.next)
    assert len((await tags.page(resources, "a", rest)).tags) == 2
    assert [one.name for one in (await tags.page(resources, "a", TagQuery("1.?"))).tags] == ["1.9"]
    found = await versions.page(resources, "a", VersionQuery())
    assert [one.digest for one in found.versions] == [str(both)]
    assert [child.platforms for child in found.versions[0].children] == [
        ("linux/amd64",),
        ("linux/arm64",),
    ]
    child = await versions.one(resources, "a", str(Digest.of(one)))
    assert [one.digest for one in child.referrers] == [str(Digest.of(signature))]


FILTERS: dict[str, set[str]] = {
    "": {"1.0", "1.0-RC1", "a_b", "a-b"},
    "rc": {"1.0-RC1"},
    " 1.0 ": {"1.0", "1.0-RC1"},
    "_": {"a_b"},
    "%": set(),
    "!": set(),
    "1.*": {"1.0", "1.0-RC1"},
    "a?b": {"a_b", "a-b"},
    "?b": set(),
    "*RC?": {"1.0-RC1"},
}


@on_both_databases
async def test_a_filter_is_a_part_or_a_glob(registry: Registry) -> None:
    content = await registry.push_image("a", "1.0")
    body = (await registry.client.get(f"/v2/a/manifests/{content}")).body
    for tag in ("1.0-RC1", "a_b", "a-b"):
        await registry.push_manifest("a", tag, body)
    for text, found in FILTERS.items():
        page = await tags.page(resources_of(registry), "a", TagQuery(text))
        assert {tag.name for tag in page.tags} == found, text


async def test_what_no_page_gave_out_is_refused(registry: Registry) -> None:
    resources = resources_of(registry)
    await registry.push_image("a", "1")
    await registry.push_image("a", "2")
    page = await tags.page(resources, "a", TagQuery(limit=1))
    assert page.next is not None
    for cursor in ("", "x", "[]", page.next[:-2], "W10", "W251bGxd", "é", "A" * 5000):
        with pytest.raises(InvalidRequest):
            await tags.page(resources, "a", TagQuery(cursor=cursor))
    with pytest.raises(InvalidRequest):
        await tags.page(resources, "a", TagQuery(order="pushed", cursor=page.next))
    with pytest.raises(InvalidRequest):
        await versions.page(resources, "a", VersionQuery(cursor=page.next))
    with pytest.raises(InvalidRequest):
        await tags.page(resources, "a", TagQuery("x" * 200))
    with pytest.raises(NameUnknown):
        await tags.page(resources, "never/was", TagQuery())


@on_both_databases
async def test_an_image_is_told_with_its_steps_and_secrets_masked(registry: Registry) -> None:
    resources = resources_of(registry)
    content = config("PATH=/bin", "DB_PASSWORD=hunter22", "URL=http://u:secret99@h/")
    one = await push(registry, "a", "1", content, b"base", b"own")
    await push(registry, "b", "1", config(), b"base")
    await push(registry, "a", "0", config(), b"base")
    found = await image.find(resources, ANYONE, "a", "1")
    detail = found.detail
    assert detail is not None
    assert detail.config is not None
    assert (found.tags, found.nature, found.platform) == (("1",), "image", "linux/amd64")
    assert detail.manifest == one.decode()
    assert detail.size == len(one) + len(content) + 7
    env = {each.name: (each.value, each.secret) for each in detail.config.env}
    assert env["PATH"] == ("/bin", "")
    assert env["DB_PASSWORD"][1] == "name"
    assert env["URL"][1] == "value"
    assert [step.command for step in detail.steps[:2]] == ["ADD file:1 in /", 'CMD ["sh"]']
    assert detail.steps[2].instruction == "RUN"
    assert [step.layer.digest if step.layer else "" for step in detail.steps] == [
        str(Digest.of(b"base")),
        "",
        str(Digest.of(b"own")),
    ]
    first = detail.steps[0].layer
    assert first is not None
    assert first.shared is not None
    assert (first.share, first.shared.images, first.shared.names) == (4 / 7, 2, ("b",))
    assert "hunter22" not in repr(found)
    assert "secret99" not in repr(found)
    revealed = await image.find(resources, ANYONE, "a", "1", reveal=True)
    assert "hunter22" in repr(revealed)


async def test_who_shares_a_layer_is_told_to_whom_may_see_it(registry: Registry) -> None:
    resources = resources_of(registry)
    for name in ("a", "hidden", "open"):
        await push(registry, name, "1", config(), b"base")
    await People(registry).publish("open")
    for principal, names in (
        (ANYONE, ("hidden", "open")),
        (reader("a"), ("open",)),
        (reader("hidden"), ("hidden", "open")),
        (NOBODY, ("open",)),
    ):
        found = await image.find(resources, principal, "a", "1")
        assert found.detail is not None
        layer = found.detail.steps[0].layer
        assert layer is not None
        assert layer.shared is not None
        assert layer.shared.names == names
        assert (layer.shared.images, layer.shared.more) == (len(names), False)


async def test_of_an_index_one_platform_is_shown(registry: Registry) -> None:
    resources = resources_of(registry)
    found = await listing(registry, "unknown/unknown", "linux/arm64", "linux/amd64")

    async def shown(platform: str | None) -> tuple[str, str]:
        one = await image.find(resources, ANYONE, "a", "all", platform=platform)
        assert one.detail is not None
        return one.platform, one.detail.digest

    amd, arm = (str(Digest.of(found[f"linux/{name}"])) for name in ("amd64", "arm64"))
    assert await shown(None) == ("linux/amd64", amd)
    assert await shown("linux/arm64") == ("linux/arm64", arm)
    with pytest.raises(ManifestUnknown):
        await shown("windows/amd64")
    with pytest.raises(InvalidRequest):
        await shown("a/b/c/d")
    one = await image.find(resources, ANYONE, "a", "all")
    assert [(offer.platform, offer.present) for offer in one.offers] == [
        ("", True),
        ("linux/arm64", True),
        ("linux/amd64", True),
    ]


async def test_without_the_usual_platform_the_first_is_shown(registry: Registry) -> None:
    await listing(registry, "linux/s390x", "linux/arm64")
    one = await image.find(resources_of(registry), ANYONE, "a", "all")
    assert one.platform == "linux/s390x"


async def test_a_platform_that_is_gone_is_told(registry: Registry) -> None:
    await listing(registry, "linux/amd64", missing=True)
    one = await image.find(resources_of(registry), ANYONE, "a", "all")
    assert (one.detail, one.platform, one.offers[0].present) == (None, "linux/amd64", False)


@pytest.mark.parametrize(
    "content, state",
    [(b"{}", "read"), (b"[]", "unreadable"), (b"\xff", "unreadable"), (b'{"config":7}', "read")],
)
async def test_a_config_that_says_nothing(registry: Registry, content: bytes, state: str) -> None:
    await push(registry, "a", "1", content, b"layer")
    found = await image.find(resources_of(registry), ANYONE, "a", "1")
    assert found.detail is not None
    assert found.detail.config_state == state
    assert [step.layer is not None for step in found.detail.steps] == [True]


async def test_a_config_that_is_too_large(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configs, "LONGEST", 8)
    await push(registry, "a", "1", config(), b"layer")
    found = await image.find(resources_of(registry), ANYONE, "a", "1")
    assert found.detail is not None
    assert found.detail.config_state == "too large"


@pytest.mark.parametrize("damage", [b"", b"x" * len(config())])
async def test_a_config_whose_bytes_are_gone(registry: Registry, damage: bytes) -> None:
    await push(registry, "a", "1", config(), b"layer")
    await registry.restart()
    file = registry.blob_file(Digest.of(config()))
    file.unlink() if not damage else file.write_bytes(damage)
    found = await image.find(resources_of(registry), ANYONE, "a", "1")
    assert found.detail is not None
    assert found.detail.config_state in ("missing", "damaged")
    assert found.detail.config is None
    assert len(found.detail.steps) == 1


async def test_a_tree_of_referrers(registry: Registry) -> None:
    one = await push(registry, "a", "1", config(), b"layer")
    sbom = await push(
        registry,
        "a",
        None,
        b"{}",
        artifactType="application/spdx+json",
        annotations={"k": "v"},
        subject=descriptor(one, OCI_MANIFEST),
    )
    await push(
        registry, "a", None, b"{}", artifactType=SIGNATURE, subject=descriptor(sbom, OCI_MANIFEST)
    )
    await push(registry, "a", f"sha256-{Digest.of(one).hex}.att", b"{}", b"att")
    found = (await image.find(resources_of(registry), ANYONE, "a", "1")).referrers
    attached, tagged = found.nodes
    assert (attached.artifact_type, attached.annotations) == ("application/spdx+json", {"k": "v"})
    assert [node.artifact_type for node in attached.referrers] == [SIGNATURE]
    assert tagged.tag.endswith(".att")
    assert not found.more


async def test_a_tree_is_bounded(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await push(registry, "a", "1", config(), b"layer")
    below = one
    for _ in range(3):
        attached = [
            await push(
                registry, "a", None, b"{}", b"%d" % n, subject=descriptor(below, OCI_MANIFEST)
            )
            for n in range(3)
        ]
        below = attached[0]
    for most, depth, nodes, more in ((4, 4, 4, True), (200, 2, 6, True), (9, 4, 9, False)):
        monkeypatch.setattr(attached_tree, "MOST", most)
        monkeypatch.setattr(attached_tree, "DEPTH", depth)
        found = (await image.find(resources_of(registry), ANYONE, "a", "1")).referrers
        assert (counted(found.nodes), found.more) == (nodes, more)


def counted(nodes: tuple[Node, ...]) -> int:
    return sum(1 + counted(node.referrers) for node in nodes)


@pytest.mark.parametrize(
    "type_, nature",
    [
        ("application/vnd.cncf.helm.config.v1+json", "helm chart"),
        ("application/vnd.wasm.config.v0+json", "wasm"),
        ("application/spdx+json", "sbom"),
        ("application/vnd.unknown.config.v1+json", "files"),
        ("application/x.of.ours", "artifact"),
    ],
)
async def test_other_artifacts_are_lists_of_files(
    registry: Registry, type_: str, nature: str
) -> None:
    content = b'{"name":"web","version":"1.0"}'
    for blob in (content, b"file"):
        await registry.push_blob("a", blob)
    layer = descriptor(b"file", "text/plain") | {
        "annotations": {"org.opencontainers.image.title": "hello.txt"}
    }
    value: Json = manifest_of(content) | {"config": descriptor(content, type_), "layers": [layer]}
    await registry.push_manifest("a", "1", value)
    found = await image.find(resources_of(registry), ANYONE, "a", "1")
    assert found.detail is not None
    assert (found.nature, found.detail.config_text) == (nature, content.decode())
    assert [(blob.title, blob.size) for blob in found.detail.blobs] == [("hello.txt", 4)]
    assert found.detail.steps == ()


async def test_answers_are_json(registry: Registry) -> None:
    await push(registry, "a", "1", config("A=1"), b"layer")
    found = await image.find(resources_of(registry), ANYONE, "a", "1")
    assert json.loads(msgspec.json.encode(found))["detail"]["config"]["env"][0]["name"] == "A"
    assert msgspec.json.schema(image.Image)
