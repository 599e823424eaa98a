"""1D: content with two meanings, names that are paths, references to nowhere, text that is code."""

import asyncio
import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kho.oci.digest import Digest
from kho.oci.media_types import DOCKER_FOREIGN_LAYER, OCI_INDEX, OCI_MANIFEST
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.oci.samples import Json, descriptor, encode, image, index

NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
CHILDREN: list[Json] = []


@pytest.mark.parametrize(
    "value, content_type",
    [
        (image(), OCI_INDEX),
        (index(), OCI_MANIFEST),
        (image(manifests=CHILDREN), OCI_MANIFEST),
        (image(manifests=CHILDREN), OCI_INDEX),
        (index(layers=CHILDREN), OCI_INDEX),
        (index(config=descriptor(b"{}")), OCI_INDEX),
        (image(fsLayers=CHILDREN), OCI_MANIFEST),
        (image(schemaVersion=1), OCI_MANIFEST),
        (image(schemaVersion=2.0), OCI_MANIFEST),
        (image(schemaVersion=True), OCI_MANIFEST),
    ],
)
@pytest.mark.parametrize("typed", [True, False])
async def test_M1_a_manifest_has_one_meaning(
    registry: Registry, value: Json, content_type: str, typed: bool
) -> None:
    await registry.push_blob("a", b"{}")
    if not typed:
        value = {key: item for key, item in value.items() if key != "mediaType"}
    header = ("Content-Type", content_type)
    answer = await registry.client.put("/v2/a/manifests/1", encode(value), header)
    assert (answer.status, answer.codes) == (400, ["MANIFEST_INVALID"])
    assert (await registry.client.get("/v2/a/manifests/1")).status == 404


@pytest.mark.parametrize(
    "old, new",
    [
        (b'"layers"', b'"Layers"'),
        (b'"layers"', b'"layer\\u017f"'),
        (b'"layers"', '"layer\u017f"'.encode()),
        (b'"mediaType"', b'"mediatype"'),
        (b'"config"', b'"CONFIG"'),
        (b'"layers": []', b'"layers": [], "layers": []'),
        (b'"layers": []', b'"layers": [], "Layers": []'),
        (b'"layers": []', b'"layers": [], "\\u006cayers": []'),
        (b'"layers": []', b'"layers": [], "Manifests": []'),
        (b'"size": 2', b'"size": 2, "Size": 3'),
        (b'"size": 2', b'"size": 2, "\\u017fize": 3'),
        (b'"digest"', b'"Digest"'),
    ],
)
async def test_M2_keys_that_go_reads_and_python_does_not(
    registry: Registry, old: bytes, new: bytes
) -> None:
    await registry.push_blob("a", b"{}")
    content = encode(image())
    assert old in content
    answer = await registry.put_manifest("a", "1", content.replace(old, new, 1))
    assert (answer.status, answer.codes) == (400, ["MANIFEST_INVALID"])


@on_both_databases
async def test_M2_bytes_are_served_as_stored(registry: Registry) -> None:
    await registry.push_blob("a", b"{}")
    text = json.dumps(image(annotations={"a": "é<&\u2028\0", "b": "\U0001f600"}), indent=3)
    for content in (text.encode(), text.replace("é", "\\u00E9").encode(), f"\t{text}\r\n".encode()):
        digest = await registry.push_manifest("a", "1", content)
        answer = await registry.client.get(f"/v2/a/manifests/{digest}")
        assert answer.body == content
        assert Digest.of(content) == digest


def files(folder: Path) -> set[str]:
    """Every file and folder below."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


NASTY = [
    "..",
    "../..",
    "a/../b",
    "%2e%2e",
    "%2E%2E%2F%2E%2E",
    "..%2F..%2Fetc",
    "a%2F..%2F..",
    "%252e%252e%252f",
    "a%00b",
    "a%0Ab",
    "a%0D%0AX-Evil:1",
    "a//b",
    "/a",
    "a/",
    "_uploads",
    "a/_layers",
    "a\\..\\b",
    "C:%5Cx",
    "x" * 256,
    "a/" * 200 + "a",
    "%C3%A9",
    "%EF%BC%8E%EF%BC%8E",
    "%ff",
    "A",
    ".",
    "-",
    "a%20b",
    "~root",
    "$(id)",
    "%u002e",
]


@pytest.mark.parametrize("name", NASTY)
async def test_M3_names_that_are_paths(registry: Registry, tmp_path: Path, name: str) -> None:
    client, before = registry.client, files(tmp_path)
    zero = f"sha256:{'0' * 64}"
    for method, target in (
        ("POST", f"/v2/{name}/blobs/uploads/"),
        ("POST", f"/v2/{name}/blobs/uploads/?digest={Digest.of(b'x')}"),
        ("PUT", f"/v2/{name}/manifests/latest"),
        ("PUT", f"/v2/a/manifests/{name}%2F{name}"),
        ("GET", f"/v2/{name}/blobs/{zero}"),
        ("DELETE", f"/v2/{name}/manifests/latest"),
        ("GET", f"/v2/{name}/tags/list"),
        ("GET", f"/v2/a/blobs/sha256:{name}"),
        ("PATCH", f"/v2/a/blobs/uploads/{name}"),
    ):
        answer = await client.request(method, target, b"x")
        assert answer.status in {400, 404}, target
    assert {one for one in files(tmp_path) - before if not one.startswith("kho.db")} == set()


parts = st.one_of(
    st.sampled_from(["v2", "..", ".", "", "a", "blobs", "uploads", "manifests", "tags", "list"]),
    st.sampled_from(NASTY),
    st.text(max_size=6).map(lambda text: quote(text.encode("utf-8", "replace"), safe="")),
)


@settings(max_examples=80)
@given(
    path=st.lists(parts, max_size=7),
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
    query=st.sampled_from(
        ["", "?digest=sha256:../..", "?mount=../&from=../..", "?n=../", "?tag=.."]
    ),
)
async def test_M3_any_path_is_answered_and_nothing_leaves_the_root(
    registry: Registry, tmp_path: Path, path: list[str], method: str, query: str
) -> None:
    target = "/v2/" + "/".join(path) + query
    answer = await registry.client.request(method, target, b"x")
    assert answer.status < 500
    known = (
        r"kho\.db[\w.-]*|data|data/uploads(/[0-9a-f-]{36})?|data/docker(/registry(/v2(/blobs)?)?)?"
    )
    assert [one for one in files(tmp_path) if not re.fullmatch(known, one)] == []


@on_both_databases
async def test_M5_every_reference_is_in_this_repository_or_the_push_fails(
    registry: Registry,
) -> None:
    await registry.push_image("other", "1", b"layer")
    theirs = (await registry.client.get("/v2/other/manifests/1")).body
    await registry.push_blob("a", b"{}")
    for value in (
        image(b"{}", b"layer"),
        image(b"absent"),
        index(theirs),
        index(b"absent"),
        index(config_is_no_field=1, manifests=[descriptor(theirs), descriptor(b"{}")]),
    ):
        answer = await registry.put_manifest("a", "1", value)
        assert (answer.status, set(answer.codes)) == (400, {"MANIFEST_BLOB_UNKNOWN"})
    assert (await registry.client.get("/v2/a/manifests/1")).status == 404


@on_both_databases
async def test_M5_a_layer_listed_twice_keeps_its_link(registry: Registry) -> None:
    await registry.push_image("a", "1", b"layer", b"layer", b"{}")
    await registry.push_image("a", "2", b"layer")
    await registry.client.delete("/v2/a/manifests/2")
    answer = await registry.client.get(f"/v2/a/blobs/{Digest.of(b'layer')}")
    assert (answer.status, answer.body) == (200, b"layer")


@on_both_databases
async def test_M5_indexes_nest_five_deep(registry: Registry) -> None:
    await registry.push_image("a", "level0")
    content = (await registry.client.get("/v2/a/manifests/level0")).body
    for level in range(1, 6):
        content = encode(index(manifests=[descriptor(content, OCI_INDEX)] * 2))
        await registry.push_manifest("a", f"level{level}", content)
    for level in range(6):
        assert (await registry.client.get(f"/v2/a/manifests/level{level}")).status == 200


@on_both_databases
async def test_M5_subject_and_foreign_layers_may_be_absent(registry: Registry) -> None:
    await registry.push_blob("a", b"{}")
    layers = [descriptor(b"x", NONDISTRIBUTABLE), descriptor(b"y", DOCKER_FOREIGN_LAYER)]
    subject = descriptor(b"nobody has this")
    await registry.push_manifest("a", "1", image(layers=layers, subject=subject))
    await registry.push_manifest("a", "2", index(subject=subject))


async def test_M5_a_blob_of_another_size_is_not_the_one_that_is_meant(registry: Registry) -> None:
    await registry.push_blob("a", b"{}")
    for size in (0, 1, 3, 2**62):
        value = image(config=descriptor(b"{}", size=size))
        answer = await registry.put_manifest("a", "1", value)
        assert (answer.status, answer.codes) == (400, ["MANIFEST_INVALID"])


async def test_M6_urls_are_never_fetched(registry: Registry) -> None:
    visits = []

    async def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(await reader.read(100))
        writer.close()

    canary = await asyncio.start_server(visited, "127.0.0.1", 0)
    async with canary:
        host = f"http://127.0.0.1:{canary.sockets[0].getsockname()[1]}/x"
        content = json.dumps({"urls": [host], "rootfs": host}).encode()
        layer = descriptor(b"far away", NONDISTRIBUTABLE, urls=[host])
        config = descriptor(content, urls=[host])
        await registry.push_blob("a", content)
        value = image(config=config, layers=[layer], annotations={"org.example": host})
        digest = await registry.push_manifest("a", "1", value)
        child = descriptor(encode(value), OCI_MANIFEST, urls=[host])
        await registry.push_manifest("a", "2", index(manifests=[child], subject=child))
        for target in ("manifests/1", "manifests/2", f"blobs/{layer['digest']}"):
            await registry.client.get(f"/v2/a/{target}")
        await registry.client.get(f"/v2/a/referrers/{digest}")
        await registry.client.get("/v2/", ("Host", host), ("Forwarded", f"host={host}"))
        await asyncio.sleep(0.05)
    assert visits == []


EVIL = '\r\nevil: 1\r\n\r\n{"event":"forged"}\x1b[31m\u202e\u2028\x7f\x85\0'


@on_both_databases
async def test_M7_hostile_text_makes_no_second_line_and_no_header(
    registry: Registry, capfd: pytest.CaptureFixture[str]
) -> None:
    client, sent = registry.client, quote(EVIL)
    raw = EVIL.encode().decode("latin-1")
    digest = await registry.push_image("a", "1", annotations={EVIL: EVIL}, x=EVIL)
    capfd.readouterr()
    targets = [
        f"/v2/{sent}/tags/list",
        f"/v2/a/manifests/{sent}",
        f"/v2/a/manifests/sha256:{sent}",
        f"/v2/a/blobs/uploads/{sent}",
        f"/{sent}",
        f"/v2/a/tags/list?n={sent}",
        f"/v2/a/referrers/{digest}?artifactType={sent}",
    ]
    for target in targets:
        await client.request("GET", target, headers=[("User-Agent", raw), ("X-Request-ID", raw)])
    await client.put("/v2/a/manifests/2", encode(image(mediaType=EVIL)), ("Content-Type", raw))
    await client.put("/v2/a/manifests/2", encode({EVIL: 1}))
    lines = capfd.readouterr().err.splitlines()
    requests = [json.loads(line) for line in lines]
    assert [one["event"] for one in requests].count("request") == len(targets) + 2
    assert "forged" not in {one["event"] for one in requests}
    assert not re.search(r"[^\x20-\x7e]", "".join(lines))


@on_both_databases
async def test_M7_hostile_annotations_come_back_as_they_were(registry: Registry) -> None:
    await registry.push_blob("a", b"{}")
    subject = descriptor(b"s")
    await registry.push_manifest("a", "1", image(annotations={EVIL: EVIL}, subject=subject))
    answer = await registry.client.get(f"/v2/a/referrers/{subject['digest']}")
    assert answer.json()["manifests"][0]["annotations"] == {EVIL: EVIL}
    assert answer.body.isascii()
