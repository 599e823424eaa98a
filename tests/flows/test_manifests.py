"""Manifests: pushed by tag, by digest, with several tags; refused with the right code; deleted."""

import asyncio

import pytest

from kho.oci.digest import Digest
from kho.oci.media_types import OCI_INDEX, OCI_MANIFEST
from tests.flows.client import pieces
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.oci.samples import LAYER_TYPE, Json, descriptor, encode, image, index

ABSENT = descriptor(b"absent")


@on_both_databases
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_pushed_by_digest_is_known_by_that_digest(registry: Registry, algorithm: str) -> None:
    await registry.push_blob("a", b"{}")
    content = encode(image())
    digest = Digest.of(content, algorithm)
    answer = await registry.put_manifest("a", digest, content)
    assert (answer.status, answer["Docker-Content-Digest"]) == (201, str(digest))
    assert answer["Location"] == f"/v2/a/manifests/{digest}"
    assert "oci-tag" not in answer
    answer = await registry.client.head(f"/v2/a/manifests/{digest}")
    assert (answer.status, answer["Docker-Content-Digest"]) == (200, str(digest))
    assert answer["Content-Length"] == str(len(content))


async def test_a_digest_that_does_not_match(registry: Registry) -> None:
    await registry.push_blob("a", b"{}")
    for algorithm in ("sha256", "sha512"):
        answer = await registry.put_manifest("a", Digest.of(b"x", algorithm), image())
        assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])


@on_both_databases
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_several_tags_in_one_push(registry: Registry, algorithm: str) -> None:
    client = registry.client
    await registry.push_blob("a", b"{}")
    content = encode(image())
    digest = Digest.of(content, algorithm)
    tags = [f"v{number}" for number in range(12)]
    query = "&".join(f"tag={tag}" for tag in [*tags, "v0"])
    answer = await registry.put_manifest("a", f"{digest}?{query}", content)
    assert answer.status == 201
    assert ", ".join(answer.all("OCI-Tag")) == ", ".join(tags)
    assert (await client.get("/v2/a/tags/list")).json()["tags"] == sorted(tags)
    for tag in tags:
        found = await client.head(f"/v2/a/manifests/{tag}")
        assert found["Docker-Content-Digest"] == str(digest)


@pytest.mark.settings(limits__tags_per_request=3)
async def test_too_many_or_bad_tags_set_none(registry: Registry) -> None:
    await registry.push_blob("a", b"{}")
    digest = Digest.of(encode(image()))
    for query, status in (
        ("tag=a&tag=b&tag=c&tag=d", 414),
        ("tag=a&tag=-b", 400),
        ("tag=a&tag=", 400),
        ("tag=a&tag=b%0A", 400),
    ):
        answer = await registry.put_manifest("a", f"{digest}?{query}", image())
        assert (answer.status, answer.codes) == (status, ["TAG_INVALID"])
    answer = await registry.put_manifest("a", "latest?tag=a", image())
    assert (answer.status, answer.codes) == (400, ["TAG_INVALID"])
    assert (await registry.client.get("/v2/a/tags/list")).json()["tags"] == []


@on_both_databases
async def test_a_tag_moves(registry: Registry) -> None:
    first = await registry.push_image("a", "1", b"first")
    second = await registry.push_image("a", "1", b"second")
    assert first != second
    client = registry.client
    answer = await client.get("/v2/a/manifests/1")
    assert answer["Docker-Content-Digest"] == str(second)
    assert (await client.get(f"/v2/a/manifests/{first}")).status == 200
    assert (await client.get("/v2/a/tags/list")).json()["tags"] == ["1"]


@on_both_databases
async def test_missing_content_is_named_one_by_one(registry: Registry) -> None:
    await registry.push_blob("a", b"{}")
    gone = [descriptor(content) for content in (b"one", b"two", b"two")]
    answer = await registry.put_manifest("a", "1", image(layers=gone))
    assert (answer.status, set(answer.codes)) == (400, {"MANIFEST_BLOB_UNKNOWN"})
    details = [entry["detail"]["digest"] for entry in answer.json()["errors"]]
    assert sorted(details) == sorted({item["digest"] for item in gone})
    answer = await registry.put_manifest("a", "1", index(b"no such child"))
    assert (answer.status, answer.codes) == (400, ["MANIFEST_BLOB_UNKNOWN"])
    assert (await registry.client.get("/v2/a/manifests/1")).status == 404


async def test_a_refused_manifest_makes_no_repository(registry: Registry) -> None:
    answer = await registry.put_manifest("new", "1", image())
    assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"]
    assert (await registry.client.get("/v2/new/tags/list")).status == 404


async def test_a_size_that_is_not_the_stored_one(registry: Registry) -> None:
    await registry.push_blob("a", b"{}")
    await registry.push_blob("a", b"layer")
    wrong = descriptor(b"layer", size=6)
    answer = await registry.put_manifest("a", "1", image(layers=[wrong]))
    assert (answer.status, answer.codes) == (400, ["MANIFEST_INVALID"])


@pytest.mark.parametrize(
    "content_type, value, status",
    [
        (f"{OCI_MANIFEST}; charset=utf-8", image(), 201),
        ("application/json", image(), 201),
        (OCI_INDEX, image(), 400),
        ("text/html", image(), 400),
        (OCI_MANIFEST, image(manifests=[]), 400),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", {"schemaVersion": 1}, 400),
        ("application/json", [], 400),
    ],
)
async def test_what_is_taken_and_refused(
    registry: Registry, content_type: str, value: Json, status: int
) -> None:
    await registry.push_blob("a", b"{}")
    header = ("Content-Type", content_type)
    answer = await registry.client.put("/v2/a/manifests/1", encode(value), header)
    assert answer.status == status
    assert status == 201 or answer.codes == ["MANIFEST_INVALID"]


@pytest.mark.parametrize(
    "reference, code",
    [
        ("sha256:totallywrong", "DIGEST_INVALID"),
        ("sha256:baddigeststring", "DIGEST_INVALID"),
        ("a:b", "DIGEST_INVALID"),
        (".a", "TAG_INVALID"),
        ("x" * 129, "TAG_INVALID"),
        ("", "TAG_INVALID"),
        ("a%0A", "TAG_INVALID"),
    ],
)
async def test_references_that_are_none(registry: Registry, reference: str, code: str) -> None:
    target = f"/v2/a/manifests/{reference}"
    for method in ("GET", "PUT", "DELETE"):
        answer = await registry.client.request(method, target, encode(image()))
        assert (answer.status, answer.codes) == (400, [code])
    assert (await registry.client.head(target)).status == 400


@pytest.mark.parametrize("reference", ["absent", str(Digest.of(b"absent"))])
@pytest.mark.parametrize("name", ["a", "never/was"])
async def test_manifests_that_are_not_here(registry: Registry, name: str, reference: str) -> None:
    await registry.push_image("a", "1")
    target = f"/v2/{name}/manifests/{reference}"
    for method in ("GET", "DELETE"):
        answer = await registry.client.request(method, target)
        assert (answer.status, answer.codes) == (404, ["MANIFEST_UNKNOWN"])
    assert (await registry.client.head(target)).status == 404


@on_both_databases
async def test_deleting_a_tag_leaves_the_manifest(registry: Registry) -> None:
    client = registry.client
    digest = await registry.push_image("a", "1")
    await registry.push_image("a", "2")
    assert (await client.delete("/v2/a/manifests/1")).status == 202
    assert (await client.get("/v2/a/manifests/1")).status == 404
    assert (await client.delete("/v2/a/manifests/1")).status == 404
    for reference in ("2", digest):
        assert (await client.get(f"/v2/a/manifests/{reference}")).status == 200
    assert (await client.get("/v2/a/tags/list")).json()["tags"] == ["2"]


@on_both_databases
async def test_deleting_a_manifest_takes_its_tags_along(registry: Registry) -> None:
    client = registry.client
    digest = await registry.push_image("a", "1")
    await registry.push_image("a", "2")
    kept = await registry.push_image("a", "3", b"other")
    await registry.push_image("b", "1")
    answer = await client.delete(f"/v2/a/manifests/{digest}")
    assert (answer.status, answer["Docker-Content-Digest"]) == (202, str(digest))
    for reference in ("1", "2", digest):
        assert (await client.get(f"/v2/a/manifests/{reference}")).status == 404
    assert (await client.get("/v2/a/tags/list")).json()["tags"] == ["3"]
    assert (await client.get(f"/v2/a/manifests/{kept}")).status == 200
    assert (await client.get(f"/v2/b/manifests/{digest}")).status == 200
    assert (await client.delete(f"/v2/a/manifests/{digest}")).status == 404


async def test_deleting_a_child_of_an_index(registry: Registry) -> None:
    child = await registry.push_image("a", "child")
    content = (await registry.client.get("/v2/a/manifests/child")).body
    await registry.push_manifest("a", "index", index(content))
    assert (await registry.client.delete(f"/v2/a/manifests/{child}")).status == 202
    assert (await registry.client.get("/v2/a/manifests/index")).status == 200


@on_both_databases
async def test_conditional_pushes(registry: Registry) -> None:
    client = registry.client
    first = await registry.push_image("a", "1")
    await registry.push_blob("a", b"layer")
    content = encode(image(b"{}", b"layer"))
    taken = [("If-None-Match", "*"), ("If-Match", f'"{Digest.of(b"x")}"')]
    for condition in taken:
        answer = await client.put("/v2/a/manifests/1", content, condition)
        assert answer.status == 412
    assert (await client.put("/v2/a/manifests/2", content, ("If-Match", "*"))).status == 412
    found = await client.get("/v2/a/manifests/1")
    assert found["Docker-Content-Digest"] == str(first)
    for reference, condition in (("1", ("If-Match", f'"{first}"')), ("2", taken[0])):
        assert (await client.put(f"/v2/a/manifests/{reference}", content, condition)).status == 201


@pytest.mark.parametrize("form", ['"{}"', "{}", 'W/"{}"', "*", '"x", "{}"'])
async def test_not_modified(registry: Registry, form: str) -> None:
    digest = await registry.push_image("a", "1")
    condition = ("If-None-Match", form.format(digest))
    answer = await registry.client.head("/v2/a/manifests/1", condition)
    assert (answer.status, answer["ETag"]) == (304, f'"{digest}"')
    answer = await registry.client.head("/v2/a/manifests/1", ("If-None-Match", '"x"'))
    assert answer.status == 200


@pytest.mark.parametrize("stream", [True, False])
async def test_a_manifest_of_four_mebibytes(registry: Registry, stream: bool) -> None:
    await registry.push_blob("a", b"{}")
    content = encode(image(annotations={"x": ""}))
    limit = 4 * 1024 * 1024
    content = content.replace(b'"x": ""', b'"x": "' + b"y" * (limit - len(content)) + b'"')
    assert len(content) == limit
    for extra, status in ((b"", 201), (b" ", 413)):
        body = pieces(content + extra, 65_536) if stream else content + extra
        answer = await registry.client.put("/v2/a/manifests/1", body)
        assert answer.status == status
    assert answer.codes == ["MANIFEST_INVALID"]
    assert (await registry.client.get("/v2/a/manifests/1")).body == content


@on_both_databases
async def test_racing_pushes_of_one_tag_all_win(registry: Registry) -> None:
    await registry.push_blob("a", b"{}")
    values = [encode(image(annotations={"n": str(number)})) for number in range(20)]
    answers = await asyncio.gather(
        *(registry.put_manifest("a", "latest", value) for value in values)
    )
    assert [answer.status for answer in answers] == [201] * 20
    last = (await registry.client.get("/v2/a/manifests/latest")).body
    assert last in values
    for value in values:
        assert (await registry.client.get(f"/v2/a/manifests/{Digest.of(value)}")).body == value


async def test_an_index_may_list_blobs(registry: Registry) -> None:
    # BuildKit writes its cache so: layers and a config in an index.
    await registry.push_blob("cache", b"layer")
    listed = [descriptor(b"layer", LAYER_TYPE)]
    await registry.push_manifest("cache", "1", index(manifests=listed))
    answer = await registry.put_manifest("cache", "2", index(manifests=[*listed, ABSENT]))
    assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"]
