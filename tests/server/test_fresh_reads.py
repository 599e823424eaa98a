"""Two workers and what they remember: what one has acknowledged, no other ever contradicts."""

import hashlib
import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from kho.oci.media_types import OCI_MANIFEST
from tests.oci.samples import encode, image
from tests.server.serving import Server

# So many that no worker is left out: one in 2**31 runs.
CONNECTIONS = 32
ROUNDS = 8
NAME = "fresh/reads"


@pytest.fixture
def connections(khod: Server) -> Iterator[list[http.client.HTTPConnection]]:
    """Kept open: each stays with its worker."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(khod.connection())) for _ in range(CONNECTIONS)]


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None
) -> tuple[int, bytes]:
    headers = {"Content-Type": OCI_MANIFEST} if "/manifests/" in path else {}
    connection.request(method, f"/v2/{NAME}/{path}", body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def push_blob(connection: http.client.HTTPConnection, content: bytes) -> str:
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    connection.request("POST", f"/v2/{NAME}/blobs/uploads/", b"")
    answer = connection.getresponse()
    answer.read()
    location = answer.headers["Location"]
    connection.request("PUT", f"{location}?digest={digest}", content)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 201
    return digest


def test_a_tag_that_moved_has_moved_in_every_worker(
    connections: list[http.client.HTTPConnection],
) -> None:
    for content in (b"{}", b"layer"):
        push_blob(connections[0], content)
    for turn in range(ROUNDS):
        content = encode(image(b"{}", b"layer", annotations={"turn": str(turn)}))
        assert ask(connections[turn], "PUT", "manifests/t", content)[0] == 201
        assert {ask(one, "GET", "manifests/t") for one in connections} == {(200, content)}
    assert ask(connections[1], "DELETE", "manifests/t")[0] == 202
    assert {ask(one, "GET", "manifests/t")[0] for one in connections} == {404}
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    assert {ask(one, "GET", f"manifests/{digest}") for one in connections} == {(200, content)}
    assert ask(connections[2], "DELETE", f"manifests/{digest}")[0] == 202
    assert {ask(one, "GET", f"manifests/{digest}")[0] for one in connections} == {404}


def test_a_blob_that_is_gone_is_gone_in_every_worker(
    connections: list[http.client.HTTPConnection],
) -> None:
    for turn in range(ROUNDS):
        content = json.dumps(turn).encode()
        digest = push_blob(connections[turn], content)
        assert {ask(one, "HEAD", f"blobs/{digest}")[0] for one in connections} == {200}
        assert {ask(one, "GET", f"blobs/{digest}") for one in connections} == {(200, content)}
        assert ask(connections[-turn], "DELETE", f"blobs/{digest}")[0] == 202
        assert {ask(one, "HEAD", f"blobs/{digest}")[0] for one in connections} == {404}
        assert {ask(one, "GET", f"blobs/{digest}")[0] for one in connections} == {404}
        assert push_blob(connections[-turn], content) == digest
        assert {ask(one, "HEAD", f"blobs/{digest}")[0] for one in connections} == {200}
