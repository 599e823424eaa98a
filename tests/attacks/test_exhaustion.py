"""1C: what a client sends never costs more than a bounded, linear amount."""

import gzip
import re
import time
import tracemalloc
from collections.abc import Callable
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kho.oci.digest import Digest
from kho.oci.ranges import parse_range
from kho.oci.reference import parse_name
from tests.flows.registry import Registry
from tests.oci.samples import encode, image

MIB = 1024 * 1024


@pytest.mark.settings(limits__page=10)
@pytest.mark.parametrize("target", ["/v2/a/tags/list", "/v2/_catalog", "/v2/a/referrers/D"])
@pytest.mark.parametrize(
    "count", ["2147483648", "-1", "1000000000", "1_000", "%D9%A3", "999999", "1e9", "9" * 5000]
)
async def test_C1_a_page_size_sizes_nothing(registry: Registry, target: str, count: str) -> None:
    digest = await registry.push_image("a", "t0")
    body = (await registry.client.get("/v2/a/manifests/t0")).body
    await registry.push_manifest("a", f"{digest}?" + "&".join(f"tag=t{n}" for n in range(30)), body)
    target = target.replace("/D", f"/{digest}")
    tracemalloc.start()
    answer = await registry.client.get(f"{target}?n={count}")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * MIB
    if answer.status == 400:
        assert answer.codes == ["PAGINATION_NUMBER_INVALID"]
    else:
        assert count == "999999"
        assert len(answer.json().get("tags", [])) <= 10


@pytest.mark.parametrize("announced", [True, False])
async def test_C2_a_manifest_of_a_gibibyte_is_refused_after_its_limit(
    registry: Registry, announced: bool
) -> None:
    length = [("Content-Length", str(1024 * MIB))]
    headers = length if announced else [("Transfer-Encoding", "chunked")]
    piece = bytes(65_536)
    tracemalloc.start()
    async with registry.client.exchange("PUT", "/v2/a/manifests/1", headers) as exchange:
        for _ in range(1024 * MIB // len(piece)):
            exchange.send(piece)
        await exchange.finished()
        answer, received = exchange.answer, exchange.received
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer is not None
    assert (answer.status, answer.codes) == (413, ["MANIFEST_INVALID"])
    assert received <= 4 * MIB + 65_536
    assert peak < 16 * MIB


def work(function: Callable[[], object]) -> float:
    """Processor seconds of this thread, the least of five runs."""
    runs = []
    for _ in range(5):
        started = time.thread_time()
        function()
        runs.append(time.thread_time() - started)
    return min(runs)


@pytest.mark.parametrize("unit", ["0-0,", "0-,", "-1,", ",", " ", "9", "-", "0-0, "])
def test_C5_many_ranges_are_linear_work(unit: str) -> None:
    small, large = ("bytes=" + unit * count for count in (10_000, 80_000))
    assert parse_range(small, 1000) is None
    cost = work(lambda: parse_range(large, 1000))
    assert cost < 30 * work(lambda: parse_range(small, 1000)) + 0.01


async def test_C5_ten_thousand_ranges_give_the_whole(registry: Registry) -> None:
    digest = await registry.push_blob("a", b"content")
    asked = "bytes=" + ",".join(["0-0"] * 10_000)
    answer = await registry.client.get(f"/v2/a/blobs/{digest}", ("Range", asked))
    assert (answer.status, answer.body) == (200, b"content")


def series(text: str) -> set[str]:
    """The names with labels of all figures."""
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


async def test_C6_no_name_becomes_a_label(registry: Registry) -> None:
    client = registry.client
    digest = await registry.push_blob("a", b"{}")

    async def visit(name: str, tag: str, method: str, agent: str) -> None:
        await client.request(method, f"/v2/{name}/tags/list", headers=[("User-Agent", agent)])
        await client.request(method, f"/v2/{name}/manifests/{tag}", b"x")
        await client.request(method, f"/v2/{name}/blobs/{digest}?n={tag}")
        await client.request(method, f"/{name}/{tag}")

    for method in ("GET", "PUT", "odd"):
        await visit("warm", "up", method, "x")
    before = series((await client.get("/metrics")).body.decode())
    before |= series((await client.get("/metrics")).body.decode())
    for _ in range(100):
        text = uuid4().hex
        for method in ("GET", "PUT", text):
            await visit(f"n{text}", text, method, text)
    after = (await client.get("/metrics")).body.decode()
    assert series(after) == before
    assert not re.search("[0-9a-f]{32}", after)


@pytest.mark.parametrize("kind", ["name", "tag", "digest"])
def test_C6_patterns_are_linear(kind: str) -> None:
    texts = {
        "name": ["a-" * 100 + "!", "a" * 254 + "!", "a/" * 127 + "!", "a__" * 84 + "!"],
        "tag": ["a" * 127 + "!", "." * 128],
        "digest": ["sha256:" + "a" * 100_000, "sha512:" + "a" * 127 + "!"],
    }[kind]
    for text in texts:
        assert work(lambda text=text: refuse(text)) < 0.02  # type: ignore[misc]


def refuse(text: str) -> None:
    """Parse what cannot be parsed, not from the cache."""
    with pytest.raises(Exception, match="not a"):
        parse_name.__wrapped__(text)


DEEP = 200_000


@pytest.mark.parametrize(
    "content",
    [
        b"[" * DEEP,
        b'{"a":' * DEEP,
        b'{"a":[' + b"[" * DEEP + b"]" * DEEP + b"]}",
        b'{"a":"' + b'\\"' * DEEP,
        b'{"a":' + b"1" * DEEP + b"}",
        b'{"a":1e' + b"9" * 400 + b"}",
        b'{"schemaVersion":NaN}',
        b'{"a":"\\ud800"}',
        b'{"a":1,"a":1}',
        b"\xff\xfe",
        b"\0" * 1000,
        b"",
        encode(image()).replace(b'"size": 2', b'"size": ' + b"9" * 300),
        encode(image()).replace(b'"size": 2', b'"size": 9223372036854775808'),
        encode(image()).replace(b'"size": 2', b'"size": 9999999999999999999'),
        encode(image()).replace(b'"size": 2', b'"size": 1e999'),
    ],
    ids=range(16),
)
async def test_C7_hostile_json_is_400(registry: Registry, content: bytes) -> None:
    await registry.push_blob("a", b"{}")
    answer = await registry.put_manifest("a", "1", content)
    assert (answer.status, answer.codes) == (400, ["MANIFEST_INVALID"])
    assert len(answer.body) < 2000


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4))
keys = st.sampled_from([*image(), "manifests", "subject", "digest", "size", "annotations"])
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=50)
@given(change=st.dictionaries(keys, trees, max_size=3), noise=st.binary(max_size=3))
async def test_C7_no_manifest_is_a_500(
    registry: Registry, change: dict[str, object], noise: bytes
) -> None:
    answer = await registry.put_manifest("a", "1", encode(image() | change) + noise)
    assert answer.status in {201, 400}


@pytest.mark.parametrize("method", ["PATCH", "PUT", "POST"])
async def test_C10_a_bomb_is_not_inflated(registry: Registry, method: str) -> None:
    bomb = gzip.compress(bytes(64 * MIB))
    location = await registry.open_upload("a")
    target = f"{location}?digest={Digest.of(bomb)}" if method != "POST" else "/v2/a/blobs/uploads/"
    if method == "POST":
        target += f"?digest={Digest.of(bomb)}"
    tracemalloc.start()
    header = [("Content-Encoding", "gzip")]
    answer = await registry.client.request(method, target, bomb, header)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status == 415
    assert peak < 4 * MIB
    assert (await registry.client.get(location))["Range"] == "0-0"


async def test_C10_compressed_content_is_stored_as_it_is(registry: Registry) -> None:
    bomb = gzip.compress(bytes(64 * MIB))
    digest = await registry.push_blob("a", bomb)
    answer = await registry.client.get(f"/v2/a/blobs/{digest}", ("Accept-Encoding", "gzip, zstd"))
    assert answer.body == bomb
