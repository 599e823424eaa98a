"""The smallest real image, config, layer of 1 KiB and manifest, and how it is pushed."""

import hashlib
import json
import os
from dataclasses import dataclass
from typing import Self

from bench.wire import Connection, path_of

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
LAYER_SIZE = 1024


def digest_of(data: bytes) -> str:
    """The sha256 digest in its written form."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True, slots=True)
class SmallImage:
    """The bytes of an image that is unlike any other."""

    config: bytes
    layer: bytes
    manifest: bytes

    @classmethod
    def random(cls) -> Self:
        """A layer of random bytes, and what belongs to it."""
        layer = os.urandom(LAYER_SIZE)
        config, manifest = config_and_manifest(digest_of(layer), len(layer))
        return cls(config, layer, manifest)


def config_and_manifest(digest: str, size: int) -> tuple[bytes, bytes]:
    """What makes an image of one layer."""
    rootfs = {"type": "layers", "diff_ids": [digest]}
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": LAYER_TYPE, "digest": digest, "size": size}],
    }
    return config, json.dumps(manifest).encode()


def push_image(connection: Connection, repository: str, tag: str, image: SmallImage) -> None:
    """Config and layer by POST, PATCH and PUT as docker does, then the manifest by its tag."""
    for data in (image.config, image.layer):
        push_bytes(connection, repository, data)
    put_manifest(connection, repository, tag, image.manifest)


def push_bytes(connection: Connection, repository: str, data: bytes) -> None:
    """One small blob by POST, PATCH and PUT."""
    location = start_upload(connection, repository)
    stream = {"Content-Type": "application/octet-stream"}
    reply = connection.request("PATCH", location, stream, data).expect(202)
    finish_upload(connection, path_of(reply.headers["location"]), digest_of(data))


def start_upload(connection: Connection, repository: str) -> str:
    """Path of a new upload session."""
    reply = connection.request("POST", f"/v2/{repository}/blobs/uploads/").expect(202)
    return path_of(reply.headers["location"])


def finish_upload(connection: Connection, location: str, digest: str) -> None:
    """Close an upload session; the server must name the digest that it stored."""
    joint = "&" if "?" in location else "?"
    reply = connection.request("PUT", f"{location}{joint}digest={digest}").expect(201)
    if reply.headers.get("docker-content-digest") != digest:
        raise ValueError(f"stored as {reply.headers.get('docker-content-digest')}, not as {digest}")


def put_manifest(connection: Connection, repository: str, reference: str, manifest: bytes) -> None:
    """A manifest under a tag or its digest."""
    target = f"/v2/{repository}/manifests/{reference}"
    connection.request("PUT", target, {"Content-Type": MANIFEST_TYPE}, manifest).expect(201)
