"""By what a repository is found, each pushed or written as people do it, and found at once."""

import pytest

from kho.oci.digest import Digest
from tests.flows.api import call
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.oci.samples import encode, image, index

CONFIG = encode(
    {
        "os": "linux",
        "architecture": "riscv64",
        "config": {
            "Labels": {
                "com.example.team": "zebras",
                "org.opencontainers.image.licenses": "LGPL-2.1-only",
            }
        },
    }
)
LAYER = b"a layer"
FIELDS = {
    "a name": "storefront",
    "a word of the name": "web",
    "a name and a tag": "storefront 3.7.1",
    "a description": "checkouts",
    "the head of the README": "lighthouse",
    "a tag": "3.7.1-bookworm",
    "the beginning of a version": "3.7",
    "the key of a label": "team",
    "the value of a label": "zebras",
    "an annotation": "quicksilver",
    "a licence": "lgpl-2.1-only",
    "a platform": "linux/riscv64",
    "an architecture": "riscv64",
    "the type of an artifact": "application/vnd.example.recipe",
}


@pytest.fixture
async def filled(registry: Registry) -> Registry:
    """One repository with all of it, and one beside it."""
    await registry.push_image("other/thing", "0.0.9", b"another layer")
    name = "web/storefront"
    for content in (CONFIG, LAYER, b"{}"):
        await registry.push_blob(name, content)
    body = encode(image(CONFIG, LAYER, annotations={"org.example.note": "quicksilver"}))
    await registry.push_manifest(name, "3.7.1-bookworm", body)
    recipe = image(b"{}", LAYER, artifactType="application/vnd.example.recipe")
    await registry.push_manifest(name, "recipe", recipe)
    settings = {"description": "The shop with checkouts"}
    done = await call(registry.client, "PATCH", f"/repositories/{name}/-/settings", body=settings)
    assert done.status == 200
    readme = {"text": "# Storefront\n\nSee the lighthouse."}
    done = await call(registry.client, "PUT", f"/repositories/{name}/-/readme", body=readme)
    assert done.status == 204, done
    return registry


async def found(registry: Registry, text: str) -> list[str]:
    """By the API; what clients and pages ask is the same."""
    words = text.replace("/", "%2F").replace(" ", "+").replace(":", "%3A")
    answer = await registry.client.get(f"/api/v1/search?q={words}")
    assert answer.status == 200, answer
    names = [one["name"] for one in answer.json()["items"]]
    client = await registry.client.get(f"/v1/search?q={words}")
    assert [one["name"] for one in client.json()["results"]] == names
    return names


@on_both_databases
async def test_every_field_finds_it_and_no_other(filled: Registry) -> None:
    for what, text in FIELDS.items():
        assert await found(filled, text) == ["web/storefront"], what
    layer, config = Digest.of(LAYER), Digest.of(CONFIG)
    for digest in (layer, config):
        assert await found(filled, str(digest)) == ["web/storefront"]
        assert await found(filled, str(digest)[:20]) == ["web/storefront"]
    assert await found(filled, "storefront unicorns") == []


@on_both_databases
async def test_what_is_taken_away_finds_it_no_longer(filled: Registry) -> None:
    client, name = filled.client, "/repositories/web/storefront/-"
    await call(client, "PATCH", f"{name}/settings", body={"description": ""})
    await call(client, "DELETE", f"{name}/readme")
    body = encode(image(CONFIG, LAYER, annotations={"org.example.note": "quicksilver"}))
    await client.delete(f"/v2/web/storefront/manifests/{Digest.of(body)}")
    for what in ("a description", "the head of the README", "a tag", "an annotation", "a licence"):
        assert await found(filled, FIELDS[what]) == [], what
    assert await found(filled, FIELDS["the type of an artifact"]) == ["web/storefront"]


@on_both_databases
async def test_an_index_is_found_by_the_platforms_of_its_images(filled: Registry) -> None:
    children = []
    for architecture in ("ppc64le", "s390x"):
        config = encode({"os": "linux", "architecture": architecture})
        for content in (config, LAYER):
            await filled.push_blob("multi/app", content)
        children.append(encode(image(config, LAYER)))
        await filled.push_manifest("multi/app", Digest.of(children[-1]), children[-1])
    await filled.push_manifest("multi/app", "1", index(*children))
    for platform in ("linux/ppc64le", "s390x"):
        assert await found(filled, platform) == ["multi/app"]
