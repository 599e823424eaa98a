"""Push an image, pull it: what clients do all day."""

import json

import pytest

from kho.oci.digest import Digest
from kho.oci.media_types import DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST
from tests.flows.client import pieces
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.oci.samples import descriptor, encode, image, index

LAYER = bytes(range(256)) * 2000


@on_both_databases
async def test_docker_pushes_and_pulls(registry: Registry) -> None:
    client, name = registry.client, "library/debian"
    assert (await client.get("/v2/")).json() == {}
    for content in (b"{}", LAYER):
        digest = Digest.of(content)
        blob = f"/v2/{name}/blobs/{digest}"
        assert (await client.head(blob)).status == 404
        location = await registry.open_upload(name)
        answer = await client.patch(location, pieces(content, 30_000))
        assert (answer.status, answer["Range"]) == (202, f"0-{len(content) - 1}")
        answer = await client.put(f"{answer['Location']}?digest={digest}")
        assert (answer.status, answer["Location"]) == (201, blob)
        assert (await client.head(blob))["Content-Length"] == str(len(content))
    content = encode(image(b"{}", LAYER))
    answer = await client.put(f"/v2/{name}/manifests/1", content, ("Content-Type", OCI_MANIFEST))
    assert answer.status == 201
    assert answer["Docker-Content-Digest"] == str(Digest.of(content))
    await pulled(registry, name, "1", content)


async def pulled(registry: Registry, name: str, tag: str, content: bytes) -> None:
    """Pull by tag, by digest, and every blob, as docker does."""
    client, digest = registry.client, Digest.of(content)
    for reference in (tag, str(digest)):
        answer = await client.get(f"/v2/{name}/manifests/{reference}")
        assert (answer.status, answer.body) == (200, content)
        assert answer["Content-Type"] == OCI_MANIFEST
        assert answer["Docker-Content-Digest"] == str(digest)
        assert answer["ETag"] == f'"{digest}"'
    manifest = json.loads(answer.body)
    for item in [manifest["config"], *manifest["layers"]]:
        answer = await client.get(f"/v2/{name}/blobs/{item['digest']}")
        assert answer.status == 200
        assert str(Digest.of(answer.body)) == item["digest"] == answer["Docker-Content-Digest"]


@on_both_databases
async def test_everything_is_there_after_a_restart(registry: Registry) -> None:
    await registry.push_image("a", "1", LAYER)
    await registry.restart()
    await pulled(registry, "a", "1", encode(image(b"{}", LAYER)))


@on_both_databases
async def test_a_multi_arch_image_by_digest_then_by_tag(registry: Registry) -> None:
    client = registry.client
    children = [encode(image(b"{}", layer)) for layer in (b"amd64", b"arm64")]
    for layer in (b"{}", b"amd64", b"arm64"):
        await registry.push_blob("multi", layer)
    for child in children:
        assert await registry.push_manifest("multi", Digest.of(child), child) == Digest.of(child)
    content = encode(index(*children))
    await registry.push_manifest("multi", "latest", content)
    answer = await client.get("/v2/multi/manifests/latest")
    assert (answer.body, answer["Content-Type"]) == (content, OCI_INDEX)
    for child in children:
        answer = await client.get(f"/v2/multi/manifests/{Digest.of(child)}")
        assert (answer.body, answer["Content-Type"]) == (child, OCI_MANIFEST)


@pytest.mark.parametrize("media_type", [DOCKER_MANIFEST, DOCKER_MANIFEST_LIST])
async def test_docker_types_are_served_as_they_came(registry: Registry, media_type: str) -> None:
    await registry.push_blob("docker", b"{}")
    value = index() if media_type == DOCKER_MANIFEST_LIST else image()
    content = encode(value | {"mediaType": media_type})
    await registry.push_manifest("docker", "1", content)
    for accept in (OCI_MANIFEST, "*/*", "text/html;q=1.0,,;;,garbage"):
        answer = await registry.client.get("/v2/docker/manifests/1", ("Accept", accept))
        assert (answer.status, answer.body, answer["Content-Type"]) == (200, content, media_type)


async def test_odd_spacing_is_kept_to_the_byte(registry: Registry) -> None:
    await registry.push_blob("odd", b"{}")
    content = b" \n" + json.dumps(image(), indent=7).encode() + b"\n\n"
    await registry.push_manifest("odd", "1", content)
    assert (await registry.client.get("/v2/odd/manifests/1")).body == content


async def test_accept_headers_in_many_lines_do_no_harm(registry: Registry) -> None:
    await registry.push_image("a", "1")
    types = [DOCKER_MANIFEST, OCI_INDEX, DOCKER_MANIFEST_LIST, OCI_MANIFEST, "*/*"]
    answer = await registry.client.get("/v2/a/manifests/1", *[("Accept", one) for one in types])
    assert answer.status == 200


async def test_an_empty_image(registry: Registry) -> None:
    await registry.push_image("empty", "1")
    answer = await registry.client.get("/v2/empty/manifests/1")
    assert answer.json()["layers"] == []


async def test_foreign_layers_stay_where_they_are(registry: Registry) -> None:
    layer_type = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    layer = descriptor(b"elsewhere", layer_type, urls=["https://example.invalid/layer"])
    await registry.push_blob("foreign", b"{}")
    await registry.push_manifest("foreign", "1", image(layers=[layer]))
    answer = await registry.client.head(f"/v2/foreign/blobs/{layer['digest']}")
    assert answer.status == 404


async def test_a_second_push_of_the_same_uploads_nothing(registry: Registry) -> None:
    first = await registry.push_image("again", "1", LAYER)
    for content in (b"{}", LAYER):
        blob = f"/v2/again/blobs/{Digest.of(content)}"
        assert (await registry.client.head(blob)).status == 200
    assert await registry.push_manifest("again", "2", image(b"{}", LAYER)) == first


async def test_names_may_be_words_of_the_api(registry: Registry) -> None:
    names = ["blobs", "manifests/tags", "tags/list", "a/blobs/uploads", "uploads", "referrers/b"]
    for name in [*names, "foo/manifests/bar", "v2/v2", "a/tags"]:
        digest = await registry.push_image(name, "list", name.encode())
        await pulled(registry, name, "list", encode(image(b"{}", name.encode())))
        client = registry.client
        assert (await client.get(f"/v2/{name}/tags/list")).json() == {
            "name": name,
            "tags": ["list"],
        }
        assert (await client.get(f"/v2/{name}/referrers/{digest}")).status == 200
        location = await registry.open_upload(name)
        assert location.startswith(f"/v2/{name}/blobs/uploads/")
        assert (await client.delete(location)).status == 204


async def test_encoded_paths_are_decoded_once(registry: Registry) -> None:
    digest = await registry.push_image("a/b", "1", b"layer")
    client = registry.client
    assert (await client.get(f"/v2/a/b/manifests/sha256%3A{digest.hex}")).status == 200
    assert (await client.get(f"/v2/a%2Fb/blobs/sha256%3a{Digest.of(b'layer').hex}")).status == 200
    assert (await client.get("/v2/a%252Fb/manifests/1")).status == 400


@pytest.mark.parametrize("more", ["ns=docker.io", "ns=registry.example:5000", "unknown=1&x", "ns="])
async def test_query_parameters_of_mirrors_are_ignored(registry: Registry, more: str) -> None:
    client = registry.client
    digest = await registry.push_image("a", "1", b"layer")
    targets = ["/v2/", "/v2/a/manifests/1", f"/v2/a/manifests/{digest}", "/v2/a/tags/list"]
    for target in [*targets, f"/v2/a/blobs/{Digest.of(b'layer')}", f"/v2/a/referrers/{digest}"]:
        assert (await client.head(f"{target}?{more}")).status == 200
    answer = await client.post(f"/v2/a/blobs/uploads/?{more}")
    other = Digest.of(b"other")
    assert (await client.put(f"{answer['Location']}?{more}&digest={other}", b"other")).status == 201
    answer = await client.put(f"/v2/a/manifests/2?{more}", encode(image(b"{}", b"other")))
    assert answer.status == 201
