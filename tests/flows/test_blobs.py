"""Reading blobs: ranges, conditions, lengths; and taking them out of one repository."""

import pytest

from kho.oci.digest import Digest, empty_digest
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry

CONTENT = bytes(range(256)) * 1200
SIZE = len(CONTENT)
DIGEST = Digest.of(CONTENT)
BLOB = f"/v2/a/blobs/{DIGEST}"


@pytest.fixture(autouse=True)
async def pushed(registry: Registry) -> None:
    """The blob is there."""
    await registry.push_blob("a", CONTENT)


async def test_the_headers_of_a_blob(registry: Registry) -> None:
    answer = await registry.client.head(BLOB)
    assert answer.status == 200
    assert answer["Content-Length"] == str(SIZE)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Docker-Content-Digest"] == str(DIGEST)
    assert answer["ETag"] == f'"{DIGEST}"'
    assert answer["Accept-Ranges"] == "bytes"
    assert "max-age=" in answer["Cache-Control"]
    assert answer["X-Content-Type-Options"] == "nosniff"


@on_both_databases
@pytest.mark.parametrize(
    "asked, start, stop",
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=5-", 5, SIZE),
        ("bytes=0-", 0, SIZE),
        ("bytes=-5", SIZE - 5, SIZE),
        (f"bytes=-{SIZE * 2}", 0, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        (f"bytes=1000-{SIZE * 2}", 1000, SIZE),
        ("bytes=0-9999999999999999999", 0, SIZE),
        ("bytes=1-200000", 1, 200_001),
    ],
)
async def test_a_range(registry: Registry, asked: str, start: int, stop: int) -> None:
    answer = await registry.client.get(BLOB, ("Range", asked))
    assert (answer.status, answer.body) == (206, CONTENT[start:stop])
    assert answer["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer["ETag"] == f'"{DIGEST}"'
    head = await registry.client.head(BLOB, ("Range", asked))
    assert (head.status, head["Content-Length"]) == (206, str(stop - start))


@pytest.mark.parametrize(
    "asked", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE}", "bytes=500-0", "bytes=-0"]
)
async def test_a_range_outside_is_416(registry: Registry, asked: str) -> None:
    answer = await registry.client.get(BLOB, ("Range", asked))
    assert (answer.status, answer.codes) == (416, ["RANGE_INVALID"])
    assert answer["Content-Range"] == f"bytes */{SIZE}"
    assert "etag" not in answer
    head = await registry.client.request("HEAD", BLOB, headers=[("Range", asked)])
    assert head["Content-Length"] != str(SIZE)


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=0-1", "bytes=x-y", "", "bytes"])
async def test_other_ranges_mean_the_whole(registry: Registry, asked: str) -> None:
    answer = await registry.client.get(BLOB, ("Range", asked))
    assert (answer.status, answer.body) == (200, CONTENT)
    assert "content-range" not in answer


async def test_any_range_of_no_bytes_is_416(registry: Registry) -> None:
    await registry.push_blob("a", b"")
    for asked in ("bytes=0-", "bytes=0-0", "bytes=-1"):
        answer = await registry.client.get(f"/v2/a/blobs/{empty_digest()}", ("Range", asked))
        assert (answer.status, answer["Content-Range"]) == (416, "bytes */0")


async def test_the_blob_of_no_bytes_has_a_length(registry: Registry) -> None:
    await registry.push_blob("a", b"")
    answer = await registry.client.head(f"/v2/a/blobs/{empty_digest()}")
    assert (answer.status, answer["Content-Length"]) == (200, "0")


@pytest.mark.parametrize(
    "condition", [f'"{DIGEST}"', f"{DIGEST}", f'W/"{DIGEST}"', "*", f'"x", "{DIGEST}"']
)
@pytest.mark.parametrize("asked", [[], [("Range", "bytes=0-5")]])
async def test_not_modified(
    registry: Registry, condition: str, asked: list[tuple[str, str]]
) -> None:
    answer = await registry.client.head(BLOB, ("If-None-Match", condition), *asked)
    assert (answer.status, answer["ETag"]) == (304, f'"{DIGEST}"')


async def test_modified(registry: Registry) -> None:
    for condition in ('"x"', f'"{DIGEST}x"', "", f"{str(DIGEST)[:-1]}"):
        answer = await registry.client.get(BLOB, ("If-None-Match", condition))
        assert (answer.status, answer.body) == (200, CONTENT)


@pytest.mark.parametrize(
    "condition, status", [(f'"{DIGEST}"', 206), ('"another"', 200), (f'W/"{DIGEST}"', 200)]
)
async def test_if_range(registry: Registry, condition: str, status: int) -> None:
    headers = [("If-Range", condition), ("Range", "bytes=10-19")]
    answer = await registry.client.get(BLOB, *headers)
    assert (answer.status, answer.body) == (status, CONTENT[10:20] if status == 206 else CONTENT)


@on_both_databases
async def test_resuming_a_pull_in_parts_gives_the_whole(registry: Registry) -> None:
    taken = b""
    while len(taken) < SIZE:
        span = f"bytes={len(taken)}-{len(taken) + 99_999}"
        taken += (await registry.client.get(BLOB, ("Range", span))).body
    assert taken == CONTENT


@pytest.mark.parametrize(
    "target, status, code",
    [
        (f"/v2/a/blobs/{Digest.of(b'absent')}", 404, "BLOB_UNKNOWN"),
        (f"/v2/never/was/blobs/{DIGEST}", 404, "BLOB_UNKNOWN"),
        ("/v2/a/blobs/sha256:zz", 400, "DIGEST_INVALID"),
        ("/v2/a/blobs/latest", 400, "DIGEST_INVALID"),
        ("/v2/a/blobs/", 400, "DIGEST_INVALID"),
        (f"/v2/A/blobs/{DIGEST}", 400, "NAME_INVALID"),
    ],
)
async def test_blobs_that_are_not(registry: Registry, target: str, status: int, code: str) -> None:
    for method in ("GET", "DELETE"):
        answer = await registry.client.request(method, target)
        assert (answer.status, answer.codes) == (status, [code])
    assert (await registry.client.head(target)).status == status


@on_both_databases
async def test_delete_takes_the_blob_out_of_one_repository(registry: Registry) -> None:
    client = registry.client
    await registry.push_blob("b", CONTENT)
    answer = await client.delete(BLOB)
    assert (answer.status, answer.body) == (202, b"")
    assert (await client.head(BLOB)).status == 404
    assert (await client.delete(BLOB)).status == 404
    assert (await client.get(f"/v2/b/blobs/{DIGEST}")).body == CONTENT
    await registry.push_blob("a", CONTENT)
    assert (await client.get(BLOB)).body == CONTENT


async def test_a_manifest_is_no_blob_and_a_blob_no_manifest(registry: Registry) -> None:
    digest = await registry.push_image("a", "1")
    assert (await registry.client.get(f"/v2/a/blobs/{digest}")).status == 404
    assert (await registry.client.get(f"/v2/a/manifests/{DIGEST}")).status == 404
