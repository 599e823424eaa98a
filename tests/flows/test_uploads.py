"""Uploads: whole, in chunks, as a stream, in one request; resumed, refused, cancelled."""

from itertools import pairwise

import pytest

from kho.oci.digest import Digest, empty_digest
from kho.server.policy.access import ANYONE, Caller
from kho.server.registry import uploads
from kho.server.storage.interface import Checkpoint
from tests.flows.client import Answer, Client, pieces
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry

CONTENT = bytes(range(256)) * 1000
DIGEST = Digest.of(CONTENT)
OCTETS = ("Content-Type", "application/octet-stream")


async def assert_pullable(client: Client, name: str, digest: Digest, content: bytes) -> None:
    """The blob is there at once, whole."""
    head = await client.head(f"/v2/{name}/blobs/{digest}")
    assert (head.status, head["Content-Length"]) == (200, str(len(content)))
    assert (await client.get(f"/v2/{name}/blobs/{digest}")).body == content


def assert_blob(answer: Answer, name: str, digest: Digest) -> None:
    """The answer to a finished upload."""
    assert answer.status == 201
    assert answer["Location"] == f"/v2/{name}/blobs/{digest}"
    assert answer["Docker-Content-Digest"] == str(digest)
    assert answer["Content-Length"] == "0"


async def assert_gone(client: Client, location: str) -> None:
    """The session is over, on every method."""
    for answer in (
        await client.head(location),
        await client.patch(location, b"x"),
        await client.put(f"{location}?digest={DIGEST}"),
        await client.delete(location),
    ):
        assert answer.status == 404
    assert answer.codes == ["BLOB_UPLOAD_UNKNOWN"]


async def test_a_new_session(registry: Registry) -> None:
    answer = await registry.client.post("/v2/a/b/blobs/uploads/")
    upload = answer["Docker-Upload-UUID"]
    assert (answer.status, answer["Range"]) == (202, "0-0")
    assert answer["Location"] == f"/v2/a/b/blobs/uploads/{upload}"
    status = await registry.client.head(answer["Location"])
    assert (status.status, status["Range"]) == (204, "0-0")
    assert (await registry.client.post("/v2/a/b/blobs/uploads")).status == 202


@on_both_databases
@pytest.mark.parametrize("stream", [True, False])
async def test_whole_in_one_put(registry: Registry, stream: bool) -> None:
    location = await registry.open_upload("a")
    body = pieces(CONTENT, 50_000) if stream else CONTENT
    answer = await registry.client.put(f"{location}?digest={DIGEST}", body, OCTETS)
    assert_blob(answer, "a", DIGEST)
    await assert_pullable(registry.client, "a", DIGEST, CONTENT)
    await assert_gone(registry.client, location)


@on_both_databases
@pytest.mark.parametrize("stream", [True, False])
async def test_single_post(registry: Registry, stream: bool) -> None:
    body = pieces(CONTENT, 50_000) if stream else CONTENT
    answer = await registry.client.post(f"/v2/a/blobs/uploads/?digest={DIGEST}", body, OCTETS)
    assert_blob(answer, "a", DIGEST)
    await assert_pullable(registry.client, "a", DIGEST, CONTENT)


@on_both_databases
@pytest.mark.parametrize("last", ["in the PUT", "in a PATCH"])
async def test_in_chunks_on_changing_workers(registry: Registry, last: str) -> None:
    location = await registry.open_upload("a")
    cuts = [0, 1, 100_000, 100_001, 200_000, len(CONTENT)]
    chunks = list(pairwise(cuts))
    for start, stop in chunks if last == "in a PATCH" else chunks[:-1]:
        client = await registry.start()
        span = ("Content-Range", f"{start}-{stop - 1}")
        answer = await client.patch(location, CONTENT[start:stop], span)
        assert (answer.status, answer["Range"]) == (202, f"0-{stop - 1}")
        assert (await client.head(location))["Range"] == f"0-{stop - 1}"
        location = answer["Location"]
    rest = b"" if last == "in a PATCH" else CONTENT[cuts[-2] :]
    span = ("Content-Range", f"{cuts[-2]}-{len(CONTENT) - 1}")
    more = [span] if rest else []
    assert_blob(await registry.client.put(f"{location}?digest={DIGEST}", rest, *more), "a", DIGEST)
    await assert_pullable(registry.client, "a", DIGEST, CONTENT)


@on_both_databases
async def test_resumed_after_a_restart(registry: Registry) -> None:
    location = await registry.open_upload("a")
    await registry.client.patch(location, CONTENT[:70_000])
    await registry.restart()
    status = await registry.client.get(location)
    assert (status.status, status["Range"], status["Location"]) == (204, "0-69999", location)
    await registry.client.patch(location, CONTENT[70_000:])
    await registry.restart()
    assert_blob(await registry.client.put(f"{location}?digest={DIGEST}"), "a", DIGEST)


async def test_I6_a_put_repeated_after_a_crash_between_bytes_and_row(registry: Registry) -> None:
    location = await registry.open_upload("a")
    await registry.client.patch(location, CONTENT)
    resources = registry.workers[-1].app.resources
    assert resources is not None
    row = await uploads.find(resources, "a", location.rpartition("/")[2], Caller(ANYONE))
    checkpoint = Checkpoint(row.size, row.state)
    writer = await resources.storage.resume(row.id, row.algorithm, checkpoint)
    await writer.finish(DIGEST)  # and here the worker is killed
    status = await registry.client.get(location)
    assert (status.status, status["Range"]) == (204, f"0-{len(CONTENT) - 1}")
    wrong = await registry.client.put(f"{location}?digest={empty_digest()}")
    assert (wrong.status, wrong.codes) == (404, ["BLOB_UPLOAD_UNKNOWN"])
    assert (await registry.client.put(f"{location}?digest={DIGEST}", b"x")).status == 404
    assert_blob(await registry.client.put(f"{location}?digest={DIGEST}"), "a", DIGEST)
    await assert_pullable(registry.client, "a", DIGEST, CONTENT)


async def test_a_session_whose_bytes_are_gone_is_gone(registry: Registry) -> None:
    location = await registry.open_upload("a")
    await registry.client.patch(location, CONTENT)
    (registry.folder / "uploads" / location.rpartition("/")[2]).unlink()
    assert (await registry.client.get(location)).status == 404


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("span", ["0-9", "99-108", "101-110", "1000-1009"])
async def test_a_chunk_out_of_order_is_416_and_changes_nothing(
    registry: Registry, method: str, span: str
) -> None:
    client, location = registry.client, await registry.open_upload("a")
    await client.patch(location, CONTENT[:100], ("Content-Range", "0-99"))
    target = location if method == "PATCH" else f"{location}?digest={DIGEST}"
    answer = await client.request(method, target, CONTENT[:10], [("Content-Range", span)])
    assert (answer.status, answer.codes) == (416, ["RANGE_INVALID"])
    assert (answer["Range"], answer["Location"]) == ("0-99", location)
    assert (await client.get(location))["Range"] == "0-99"
    answer = await client.patch(
        location, CONTENT[100:], ("Content-Range", f"100-{len(CONTENT) - 1}")
    )
    assert answer.status == 202
    assert_blob(await client.put(f"{location}?digest={DIGEST}"), "a", DIGEST)


async def test_a_first_chunk_out_of_order(registry: Registry) -> None:
    client, location = registry.client, await registry.open_upload("a")
    answer = await client.patch(location, CONTENT[:10], ("Content-Range", "10-19"))
    assert (answer.status, answer["Range"]) == (416, "0-0")
    assert (await client.get(location))["Range"] == "0-0"


@pytest.mark.parametrize("span", ["garbage", "5", "-5", "9-0", "bytes=0-9", "0-9,10-19", "٠-٩"])
async def test_a_content_range_that_cannot_be_read(registry: Registry, span: str) -> None:
    location = await registry.open_upload("a")
    sent = span.encode().decode("latin-1")
    answer = await registry.client.patch(location, CONTENT[:10], ("Content-Range", sent))
    assert (answer.status, answer.codes) == (416, ["RANGE_INVALID"])


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("span", ["0-8", "0-10", "0-100000"])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_chunk_of_another_length_is_size_invalid(
    registry: Registry, stream: bool, span: str, method: str
) -> None:
    client, location = registry.client, await registry.open_upload("a")
    body = pieces(CONTENT[:10], 3) if stream else CONTENT[:10]
    target = location if method == "PATCH" else f"{location}?digest={Digest.of(CONTENT[:10])}"
    answer = await client.request(method, target, body, [("Content-Range", span)])
    assert (answer.status, answer.codes) == (400, ["SIZE_INVALID"])
    assert (await client.get(location))["Range"] == "0-0"
    answer = await client.put(f"{location}?digest={DIGEST}", CONTENT)
    assert_blob(answer, "a", DIGEST)


@on_both_databases
async def test_a_wrong_digest_ends_the_session_and_leaves_nothing(registry: Registry) -> None:
    client, location = registry.client, await registry.open_upload("a")
    await client.patch(location, CONTENT)
    other = Digest.of(b"other")
    answer = await client.put(f"{location}?digest={other}")
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])
    await assert_gone(client, location)
    for digest in (DIGEST, other):
        assert (await client.head(f"/v2/a/blobs/{digest}")).status == 404
    answer = await client.post(f"/v2/a/blobs/uploads/?digest={other}", CONTENT)
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])
    assert list((registry.folder / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    "query", ["", "?digest=", "?digest=sha256:zz", f"?digest=md5:{'a' * 32}", "?Digest=x"]
)
async def test_a_digest_that_cannot_be_read_keeps_the_session(
    registry: Registry, query: str
) -> None:
    client, location = registry.client, await registry.open_upload("a")
    await client.patch(location, CONTENT)
    answer = await client.put(f"{location}{query}")
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])
    assert_blob(await client.put(f"{location}?digest={DIGEST}"), "a", DIGEST)


@on_both_databases
@pytest.mark.parametrize("hint", ["", "?digest-algorithm=sha512", "?digest-algorithm=sha256"])
async def test_sha512_with_and_without_hint(registry: Registry, hint: str) -> None:
    client, digest = registry.client, Digest.of(CONTENT, "sha512")
    location = (await client.post(f"/v2/a/blobs/uploads/{hint}"))["Location"]
    await client.patch(location, CONTENT[:1000])
    await client.patch(location, CONTENT[1000:])
    assert_blob(await client.put(f"{location}?digest={digest}"), "a", digest)
    await assert_pullable(client, "a", digest, CONTENT)
    assert (await client.head(f"/v2/a/blobs/{DIGEST}")).status == 404


async def test_an_unknown_algorithm_is_refused(registry: Registry) -> None:
    answer = await registry.client.post("/v2/a/blobs/uploads/?digest-algorithm=md5")
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])


@on_both_databases
@pytest.mark.parametrize("way", ["post", "put", "patch and put", "chunked put"])
async def test_the_blob_of_no_bytes(registry: Registry, way: str) -> None:
    client, digest = registry.client, empty_digest()
    if way == "post":
        answer = await client.post(f"/v2/a/blobs/uploads/?digest={digest}")
    else:
        location = await registry.open_upload("a")
        if way == "patch and put":
            assert (await client.patch(location, b""))["Range"] == "0-0"
        body = pieces(b"", 1) if way == "chunked put" else b""
        answer = await client.put(f"{location}?digest={digest}", body)
    assert_blob(answer, "a", digest)
    await assert_pullable(client, "a", digest, b"")


@on_both_databases
async def test_cancel(registry: Registry) -> None:
    client, location = registry.client, await registry.open_upload("a")
    await client.patch(location, CONTENT)
    answer = await client.delete(location)
    assert answer.status == 204
    await assert_gone(client, location)
    assert list((registry.folder / "uploads").iterdir()) == []


async def test_a_session_belongs_to_its_repository(registry: Registry) -> None:
    client, location = registry.client, await registry.open_upload("mine")
    await client.patch(location, CONTENT)
    await registry.open_upload("theirs")
    await assert_gone(client, location.replace("/mine/", "/theirs/"))
    assert_blob(await client.put(f"{location}?digest={DIGEST}"), "mine", DIGEST)


async def test_two_sessions_with_one_content(registry: Registry) -> None:
    first, second = await registry.open_upload("a"), await registry.open_upload("b")
    for location in (first, second):
        await registry.client.patch(location, CONTENT)
    for name, location in (("a", first), ("b", second)):
        answer = await registry.client.put(f"{location}?digest={DIGEST}")
        assert_blob(answer, name, DIGEST)
    files = [path for path in registry.folder.rglob("*") if path.name == "data" and path.is_file()]
    assert files == [registry.blob_file(DIGEST)]


@on_both_databases
async def test_a_truncated_blob_is_absent_until_it_is_pushed_again(registry: Registry) -> None:
    client = registry.client
    await registry.push_blob("a", CONTENT)
    registry.blob_file(DIGEST).write_bytes(CONTENT[:-1])
    for method in ("HEAD", "GET"):
        answer = await client.request(method, f"/v2/a/blobs/{DIGEST}")
        assert answer.status == 404
    answer = await client.post(f"/v2/b/blobs/uploads/?mount={DIGEST}&from=a")
    assert answer.status == 202
    await registry.push_blob("a", CONTENT)
    await assert_pullable(client, "a", DIGEST, CONTENT)


@pytest.mark.settings(limits__blob_bytes=1000)
@pytest.mark.parametrize("way", ["post", "put", "patch"])
async def test_a_blob_over_the_limit(registry: Registry, way: str) -> None:
    client, location = registry.client, await registry.open_upload("a")
    content = CONTENT[:1001]
    digest = Digest.of(content)
    if way == "post":
        answer = await client.post(f"/v2/a/blobs/uploads/?digest={digest}", pieces(content, 100))
    elif way == "put":
        answer = await client.put(f"{location}?digest={digest}", content)
    else:
        await client.patch(location, content[:900])
        answer = await client.patch(location, content[900:])
    assert (answer.status, answer.codes) == (400, ["SIZE_INVALID"])
    await registry.push_blob("a", content[:1000])


async def test_uploads_are_counted(registry: Registry) -> None:
    before = await _counts(registry)
    location = await registry.open_upload("a")
    assert (await registry.client.delete(location)).status == 204
    await registry.client.post(f"/v2/a/blobs/uploads/?digest={DIGEST}", CONTENT)
    location = await registry.open_upload("a")
    await registry.client.put(f"{location}?digest={DIGEST}", CONTENT)
    after = await _counts(registry)
    assert [now - then for then, now in zip(before, after, strict=True)] == [3, 2, 1]


async def _counts(registry: Registry) -> list[int]:
    text = (await registry.client.get("/metrics")).body.decode()
    names = (f"kho_uploads_{what}_total " for what in ("started", "finished", "cancelled"))
    return [int(text.partition(f"\n{name}")[2].partition("\n")[0]) for name in names]
