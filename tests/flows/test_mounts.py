"""Cross-repository mounts: a hit links, everything else is an ordinary session."""

import pytest

from kho.oci.digest import Digest
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry

LAYER = b"a layer"
DIGEST = Digest.of(LAYER)


@on_both_databases
@pytest.mark.parametrize("source", ["&from=source", "", "&from=source&origin=a.example"])
async def test_a_hit_links_without_upload(registry: Registry, source: str) -> None:
    client = registry.client
    await registry.push_blob("source", LAYER)
    answer = await client.post(f"/v2/target/blobs/uploads/?mount={DIGEST}{source}")
    assert (answer.status, answer["Location"]) == (201, f"/v2/target/blobs/{DIGEST}")
    assert answer["Docker-Content-Digest"] == str(DIGEST)
    assert (await client.delete(f"/v2/source/blobs/{DIGEST}")).status == 202
    assert (await client.get(f"/v2/target/blobs/{DIGEST}")).body == LAYER
    assert (await client.head(f"/v2/source/blobs/{DIGEST}")).status == 404


@on_both_databases
@pytest.mark.parametrize(
    "query",
    [
        f"mount={Digest.of(b'absent')}&from=source",
        f"mount={Digest.of(b'absent')}",
        f"mount={DIGEST}&from=elsewhere",
        f"mount={DIGEST}&from=never/was",
        f"mount={DIGEST}&from=",
        f"mount={DIGEST}&from=Bad//Name",
        f"mount={DIGEST}&from=../source",
        "mount=sha256:zz&from=source",
        "mount=&from=source",
        "mount=sha256:zz",
        f"mount=sha512:{'0' * 128}&from=source",
        "from=source",
    ],
)
async def test_a_miss_is_an_ordinary_session(registry: Registry, query: str) -> None:
    client = registry.client
    await registry.push_blob("source", LAYER)
    await registry.push_blob("elsewhere", b"other")
    answer = await client.post(f"/v2/target/blobs/uploads/?{query}")
    assert (answer.status, answer["Range"]) == (202, "0-0")
    assert (await client.head(f"/v2/target/blobs/{DIGEST}")).status == 404
    assert (await client.put(f"{answer['Location']}?digest={DIGEST}", LAYER)).status == 201


async def test_mounting_into_itself_is_a_hit(registry: Registry) -> None:
    await registry.push_blob("a", LAYER)
    answer = await registry.client.post(f"/v2/a/blobs/uploads/?mount={DIGEST}&from=a")
    assert answer.status == 201


async def test_an_image_whose_layers_were_all_mounted(registry: Registry) -> None:
    await registry.push_image("source", "1", LAYER)
    for content in (b"{}", LAYER):
        target = f"/v2/target/blobs/uploads/?mount={Digest.of(content)}&from=source"
        assert (await registry.client.post(target)).status == 201
    body = (await registry.client.get("/v2/source/manifests/1")).body
    await registry.push_manifest("target", "1", body)
