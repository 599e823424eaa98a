"""Errors: the right status and code for whatever is asked wrongly, in JSON, never HTML."""

import shutil

import pytest

from kho.oci.digest import Digest
from kho.server.web.routes import TABLE
from tests.flows.client import pieces
from tests.flows.registry import Registry
from tests.oci.samples import encode, image

DIGEST = f"sha256:{'0' * 64}"
UPLOAD = "00000000-0000-4000-8000-000000000000"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"]


@pytest.mark.parametrize(
    "target",
    [
        "/v1/",
        "/v2/a",
        "/v2/a/",
        "/v2//",
        "/v2/a/b/c",
        "/v2/a/tags",
        "/v2/a/tags/",
        "/v2/a/tags/list/",
        "/v2/a/tags/other",
        "/v2/_catalog/",
        "/v2/_catalogue",
        f"/v2/blobs/{DIGEST}",
        "/v2/blobs/uploads/",
        f"/v2//manifests/{DIGEST}",
        f"//v2/a/manifests/{DIGEST}",
        "/v2/tags/list",
        "/healthz/",
        "/%00",
        "/v2/" + "a/" * 4000,
        "/v2/_oci/ext/other",
    ],
)
async def test_paths_that_are_none(registry: Registry, target: str) -> None:
    for method in METHODS:
        answer = await registry.client.request(method, target)
        assert answer.status == 404
        assert method == "HEAD" or answer.codes == ["NAME_UNKNOWN"]


INDEX = ("/api/", "/-/", "/{name}")  # programs and people are told in other ways


def filled(template: str) -> str:
    """A path of the template."""
    parts = {"name": "a/b", "digest": DIGEST, "reference": "1", "upload": UPLOAD, "token": "t"}
    return template.format(**parts)


@pytest.mark.parametrize("template", [one for one in TABLE if not one.startswith(INDEX)])
async def test_methods_that_a_path_has_not(registry: Registry, template: str) -> None:
    for method in METHODS:
        if method in TABLE[template]:
            continue
        answer = await registry.client.request(method, filled(template), b"body")
        assert answer.status == 405
        assert method == "HEAD" or answer.codes == ["UNSUPPORTED"]
        assert answer["Allow"] == ", ".join(sorted(TABLE[template]))


@pytest.mark.parametrize("target", ["/v2/", "/v2", "/healthz", "/readyz", "/v2/_oci/ext/discover"])
async def test_paths_that_always_answer(registry: Registry, target: str) -> None:
    answer = await registry.client.head(target)
    assert (answer.status, answer["Content-Type"]) == (200, "application/json")


async def test_metrics_are_text(registry: Registry) -> None:
    answer = await registry.client.get("/metrics")
    assert answer.status == 200
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")


@pytest.mark.settings(metrics__enabled=False)
async def test_metrics_switched_off(registry: Registry) -> None:
    assert (await registry.client.get("/metrics")).status == 404


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "br", "gzip, identity", "GZIP"])
@pytest.mark.parametrize("kind", ["PATCH", "PUT", "POST", "manifest"])
async def test_compressed_bodies_are_415(registry: Registry, encoding: str, kind: str) -> None:
    location = await registry.open_upload("a")
    digest = Digest.of(b"x")
    method, target = {
        "PATCH": ("PATCH", location),
        "PUT": ("PUT", f"{location}?digest={digest}"),
        "POST": ("POST", f"/v2/a/blobs/uploads/?digest={digest}"),
        "manifest": ("PUT", "/v2/a/manifests/1"),
    }[kind]
    header = ("Content-Encoding", encoding)
    answer = await registry.client.request(method, target, b"x", [header])
    assert (answer.status, answer.codes) == (415, ["UNSUPPORTED"])
    assert (await registry.client.get(location))["Range"] == "0-0"


async def test_identity_is_no_compression(registry: Registry) -> None:
    location = await registry.open_upload("a")
    answer = await registry.client.patch(location, b"x", ("Content-Encoding", "identity"))
    assert answer.status == 202


@pytest.mark.parametrize("announced", [True, False])
async def test_a_manifest_too_large_is_413_and_read_no_further(
    registry: Registry, announced: bool
) -> None:
    limit, size = 4 * 1024 * 1024, 64 * 1024 * 1024
    headers = [("Content-Length", str(size))] if announced else [("Transfer-Encoding", "chunked")]
    async with registry.client.exchange("PUT", "/v2/a/manifests/1", headers) as exchange:
        for _ in range(size // 65_536):
            exchange.send(bytes(65_536))
        await exchange.finished()
        assert exchange.answer is not None
        assert exchange.answer.status == 413
        assert exchange.answer["Connection"] == "close"
        assert exchange.received <= (0 if announced else limit + 65_536)


async def test_a_small_unread_body_is_taken_so_that_the_answer_is_seen(registry: Registry) -> None:
    content = bytes(300_000)
    async with registry.client.exchange(
        "PUT", f"/v2/a/blobs/uploads/{UPLOAD}?digest={DIGEST}", [("Content-Length", "300000")]
    ) as exchange:
        exchange.send(content[:200_000])
        exchange.send(content[200_000:], more=False)
        await exchange.finished()
        assert exchange.answer is not None
        assert exchange.answer.status == 404
        assert exchange.received == 300_000
        assert "connection" not in exchange.answer


async def test_a_large_unread_body_closes_the_connection(registry: Registry) -> None:
    target = f"/v2/a/blobs/uploads/{UPLOAD}"
    answer = await registry.client.patch(target, pieces(bytes(8 * 1024 * 1024), 65_536))
    assert (answer.status, answer["Connection"]) == (404, "close")


async def test_a_failing_store_is_503_with_a_time_to_come_back(registry: Registry) -> None:
    location = await registry.open_upload("a")
    shutil.rmtree(registry.folder / "uploads")
    for answer in (
        await registry.client.patch(location, b"x"),
        await registry.client.post(f"/v2/a/blobs/uploads/?digest={Digest.of(b'x')}", b"x"),
        await registry.client.get("/readyz"),
    ):
        assert (answer.status, answer.codes) == (503, ["UNAVAILABLE"])
        assert int(answer["Retry-After"]) > 0
        assert str(registry.folder) not in answer.body.decode()
    assert (await registry.client.get("/healthz")).status == 200


async def test_a_mistake_of_ours_is_500_and_shows_nothing(registry: Registry) -> None:
    app = registry.workers[-1].app
    app.resources, resources = None, app.resources  # whatever fails inside
    answer = await registry.client.get("/v2/a/tags/list")
    app.resources = resources
    assert (answer.status, answer.codes) == (500, ["UNKNOWN"])
    assert answer.json()["errors"][0]["detail"] == {"request": answer["X-Request-ID"]}
    assert b"Assertion" not in answer.body


async def test_too_many_query_parameters(registry: Registry) -> None:
    query = "&".join(f"a{number}=1" for number in range(300))
    answer = await registry.client.get(f"/v2/a/tags/list?{query}")
    assert answer.status == 400


async def test_a_length_that_is_told_twice_is_refused(registry: Registry) -> None:
    content = encode(image())
    headers = [("Content-Length", str(len(content))), ("Transfer-Encoding", "chunked")]
    answer = await registry.client.request("PUT", "/v2/a/manifests/1", pieces(content, 9), headers)
    assert answer.status == 400


async def test_a_request_id_is_taken_over_when_harmless(registry: Registry) -> None:
    answer = await registry.client.get("/v2/", ("X-Request-ID", "my-request.1"))
    assert answer["X-Request-ID"] == "my-request.1"
    for odd in ("short", "x" * 65, "a b c d e f", "evil\x1b[31mred"):
        answer = await registry.client.get("/v2/", ("X-Request-ID", odd))
        assert answer["X-Request-ID"] != odd
