"""The registry asked without any client, to check what a client claims."""

import hashlib
import http.client
import json
from dataclasses import dataclass
from http.client import HTTPMessage
from typing import Any

from .servers import Server

ANY_MANIFEST = (
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read to its end."""

    status: int
    headers: HTTPMessage
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def ask(server: Server, method: str, path: str) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, headers={"Accept": ANY_MANIFEST})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def manifest(server: Server, repository: str, reference: str) -> Answer:
    """The manifest under a tag or digest, whatever its type."""
    return ask(server, "GET", f"/v2/{repository}/manifests/{reference}")


def digest_of(server: Server, repository: str, reference: str) -> str:
    """The digest of a manifest, by the server's header and by its bytes."""
    answer = manifest(server, repository, reference)
    assert answer.status == 200, answer.body
    computed = "sha256:" + hashlib.sha256(answer.body).hexdigest()
    assert answer.headers["Docker-Content-Digest"] == computed
    return computed


def layers_of(server: Server, repository: str, reference: str) -> list[str]:
    """The digests of an image's layers."""
    return [layer["digest"] for layer in manifest(server, repository, reference).json()["layers"]]


def referrers_of(server: Server, repository: str, digest: str) -> list[dict[str, Any]]:
    """The descriptors that the referrers API lists for a digest."""
    answer = ask(server, "GET", f"/v2/{repository}/referrers/{digest}")
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/vnd.oci.image.index.v1+json"
    descriptors: list[dict[str, Any]] = answer.json()["manifests"]
    return descriptors
