"""Referrers: what points at an image, filtered and in pages."""

import json
import tracemalloc
from collections.abc import Sequence
from itertools import chain
from urllib.parse import quote

import pytest

from kho.oci.digest import Digest
from kho.oci.media_types import OCI_INDEX, OCI_MANIFEST
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.flows.test_lists import next_page
from tests.oci.samples import CONFIG_TYPE, Json, descriptor, encode, image, index

ZERO = f"sha256:{'0' * 64}"
SBOM, SIGNATURE = "application/spdx+json", "application/x.signature;v=1 2"


async def attach(registry: Registry, subject: bytes, *values: Json) -> list[Digest]:
    """Push manifests with a subject, by digest."""
    await registry.push_blob("a", b"{}")
    found = []
    for value in values:
        content = encode(value | {"subject": descriptor(subject, OCI_MANIFEST)})
        answer = await registry.put_manifest("a", Digest.of(content), content)
        assert (answer.status, answer["OCI-Subject"]) == (201, str(Digest.of(subject)))
        found.append(Digest.of(content))
    return found


async def listed(registry: Registry, subject: object, query: str = "") -> list[Json]:
    """The descriptors of one page."""
    answer = await registry.client.get(f"/v2/a/referrers/{subject}{query}")
    assert (answer.status, answer["Content-Type"]) == (200, OCI_INDEX)
    body = answer.json()
    assert body["schemaVersion"] == 2
    assert body["mediaType"] == OCI_INDEX
    manifests: list[Json] = body["manifests"]
    return manifests


def digests(entries: Sequence[Json]) -> list[str]:
    return [entry["digest"] for entry in entries]


@on_both_databases
@pytest.mark.parametrize("name", ["a", "never/was"])
async def test_nothing_refers_to_what_nobody_knows(registry: Registry, name: str) -> None:
    await registry.push_image("a", "1")
    answer = await registry.client.head(f"/v2/{name}/referrers/{ZERO}")
    assert (answer.status, answer["Content-Type"]) == (200, OCI_INDEX)
    assert "oci-filters-applied" not in answer
    body = (await registry.client.get(f"/v2/{name}/referrers/{ZERO}")).body
    assert b'"manifests":[]' in body


async def test_a_digest_that_is_none(registry: Registry) -> None:
    for text in ("sha256:zz", "latest", ""):
        answer = await registry.client.get(f"/v2/a/referrers/{text}")
        assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])


@on_both_databases
async def test_what_is_told_of_each(registry: Registry) -> None:
    notes = {"org.example": "é", "empty": ""}
    subject = b"never pushed"
    values = [
        image(artifactType=SBOM, annotations=notes),
        image(),
        index(artifactType=SIGNATURE),
        index(),
    ]
    found = await attach(registry, subject, *values)
    entries = {entry["digest"]: entry for entry in await listed(registry, Digest.of(subject))}
    sizes = {
        digest: len((await registry.client.get(f"/v2/a/manifests/{digest}")).body)
        for digest in found
    }
    expected: list[Json] = [
        {"mediaType": OCI_MANIFEST, "artifactType": SBOM, "annotations": notes},
        {"mediaType": OCI_MANIFEST, "artifactType": CONFIG_TYPE},
        {"mediaType": OCI_INDEX, "artifactType": SIGNATURE},
        {"mediaType": OCI_INDEX},
    ]
    for digest, told in zip(found, expected, strict=True):
        assert entries[str(digest)] == {"digest": str(digest), "size": sizes[digest]} | told
    assert len(entries) == 4


@on_both_databases
async def test_filters(registry: Registry) -> None:
    subject = Digest.of(b"s")
    values = [image(artifactType=SBOM), image(artifactType=SIGNATURE), image(), index()]
    sbom, signature, plain, _ = await attach(registry, b"s", *values)
    queries = {
        f"?artifactType={quote(SBOM)}": {sbom},
        f"?artifactType={quote(SIGNATURE)}": {signature},
        f"?artifactType={quote(CONFIG_TYPE)}": {plain},
        f"?artifactType={quote(SBOM)}&artifactType={quote(SIGNATURE)}": {sbom, signature},
        "?artifactType=unheard/of": set(),
    }
    for query, expected in queries.items():
        answer = await registry.client.get(f"/v2/a/referrers/{subject}{query}")
        assert answer["OCI-Filters-Applied"] == "artifactType"
        assert set(digests(answer.json()["manifests"])) == {str(one) for one in expected}
    for query in ("", "?artifactType=", "?unknown=1"):
        answer = await registry.client.get(f"/v2/a/referrers/{subject}{query}")
        assert "oci-filters-applied" not in answer
        assert len(answer.json()["manifests"]) == 4


@on_both_databases
@pytest.mark.parametrize("query", ["", f"&artifactType={quote(SBOM)}"])
async def test_pages(registry: Registry, query: str) -> None:
    values = [image(artifactType=SBOM, annotations={"n": str(n)}) for n in range(7)]
    found = await attach(registry, b"s", *values)
    target: str | None = f"/v2/a/referrers/{Digest.of(b's')}?n=3{query}"
    pages = []
    while target is not None:
        answer = await registry.client.get(target)
        pages.append(digests(answer.json()["manifests"]))
        target = next_page(answer)
    assert [len(page) for page in pages] == [3, 3, 1]
    assert sorted(chain(*pages)) == sorted(map(str, found))


async def test_a_page_is_cut_by_bytes_too(registry: Registry) -> None:
    values = [image(annotations={"n": f"{n}" + "x" * 900_000}) for n in range(4)]
    found = await attach(registry, b"s", *values)
    target: str | None = f"/v2/a/referrers/{Digest.of(b's')}"
    seen: list[str] = []
    while target is not None:
        answer = await registry.client.get(target)
        assert len(answer.body) < 3 * 1024 * 1024
        seen += digests(answer.json()["manifests"])
        target = next_page(answer)
    assert sorted(seen) == sorted(map(str, found))


@on_both_databases
async def test_a_page_costs_no_more_memory_than_it_shows(registry: Registry) -> None:
    values = [image(annotations={"n": f"{n}" + "x" * 3_000_000}) for n in range(20)]
    await attach(registry, b"s", *values)
    tracemalloc.start()
    answer = await registry.client.get(f"/v2/a/referrers/{Digest.of(b's')}")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(answer.json()["manifests"]) == 1
    assert peak < 25_000_000


@on_both_databases
async def test_a_deleted_referrer_is_gone_at_once(registry: Registry) -> None:
    first, second = await attach(registry, b"s", image(), index())
    await registry.client.delete(f"/v2/a/manifests/{first}")
    assert digests(await listed(registry, Digest.of(b"s"))) == [str(second)]


async def test_referrers_outlive_their_subject_and_stay_in_their_repository(
    registry: Registry,
) -> None:
    digest = await registry.push_image("a", "1")
    content = (await registry.client.get("/v2/a/manifests/1")).body
    (referrer,) = await attach(registry, content, index())
    await registry.push_image("b", "1")
    assert (await registry.client.get(f"/v2/b/referrers/{digest}")).json()["manifests"] == []
    await registry.client.delete(f"/v2/a/manifests/{digest}")
    assert digests(await listed(registry, digest)) == [str(referrer)]


async def test_a_referrer_pushed_by_tag_counts_once(registry: Registry) -> None:
    (digest,) = await attach(registry, b"s", index())
    content = (await registry.client.get(f"/v2/a/manifests/{digest}")).body
    for tag in ("1", "2", "1"):
        answer = await registry.put_manifest("a", tag, content)
        assert answer["OCI-Subject"] == str(Digest.of(b"s"))
    assert digests(await listed(registry, Digest.of(b"s"))) == [str(digest)]


async def test_a_manifest_without_subject_answers_without_the_header(registry: Registry) -> None:
    await registry.push_blob("a", b"{}")
    assert "oci-subject" not in await registry.put_manifest("a", "1", image())


async def test_the_fallback_tag_is_a_tag_like_any_other(registry: Registry) -> None:
    subject = Digest.of(b"s")
    await registry.push_manifest("a", f"sha256-{subject.hex}", index())
    answer = await registry.client.get(f"/v2/a/manifests/sha256-{subject.hex}")
    assert json.loads(answer.body)["manifests"] == []
