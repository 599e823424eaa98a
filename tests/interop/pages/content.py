"""Images with something to show, pushed over HTTP without any client."""

import base64
import gzip
import hashlib
import http.client
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.interop.wire import ANY_MANIFEST, Answer

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
Json = dict[str, Any]


def digest_of(content: bytes) -> str:
    """Of bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def layer(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A layer of files and symbolic links, compressed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return gzip.compress(out.getvalue(), mtime=0)


@dataclass(frozen=True, slots=True)
class Hand:
    """Somebody who speaks HTTP to the registry; without a name, nobody."""

    port: int
    name: str = ""
    password: str = ""

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str | None
    ) -> Answer:
        """One request; the names of `headers` have _ for -, and None leaves one out."""
        given: dict[str, str | None] = {"Accept": ANY_MANIFEST}
        if self.name:
            pair = base64.b64encode(f"{self.name}:{self.password}".encode()).decode()
            given["Authorization"] = f"Basic {pair}"
        given |= {key.replace("_", "-"): value for key, value in headers.items()}
        sent = {key: value for key, value in given.items() if value is not None}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def api(self, method: str, path: str, value: object = None) -> Any:
        """An operation of the API, which must succeed."""
        body = None if value is None else json.dumps(value).encode()
        kind = None if body is None else "application/json"
        answer = self.ask(method, f"/api/v1{path}", body, Content_Type=kind)
        assert answer.status < 300, (method, path, answer.status, answer.body)
        return answer.json() if answer.body else None

    def blob(self, repository: str, content: bytes, kind: str = LAYER, **more: Any) -> Json:
        """Push a blob; its descriptor."""
        digest = digest_of(content)
        path = f"/v2/{repository}/blobs/uploads/?digest={digest}"
        answer = self.ask("POST", path, content, Content_Type="application/octet-stream")
        assert answer.status == 201, answer.body
        return {"mediaType": kind, "digest": digest, "size": len(content), **more}

    def manifest(self, repository: str, tag: str | None, value: Json | bytes) -> Json:
        """Push a manifest, as it is when it is bytes; its descriptor."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        digest, kind = digest_of(body), json.loads(body).get("mediaType", MANIFEST)
        path = f"/v2/{repository}/manifests/{tag or digest}"
        answer = self.ask("PUT", path, body, Content_Type=kind)
        assert answer.status == 201, answer.body
        return {"mediaType": kind, "digest": digest, "size": len(body)}

    def image(
        self, repository: str, tag: str | None, *layers: bytes, config: Json, **more: Any
    ) -> Json:
        """Push an image; its descriptor. `more` are further fields of the manifest."""
        ids = [digest_of(gzip.decompress(one)) for one in layers]
        base = {"os": "linux", "architecture": "amd64"}
        told = json.dumps(base | {"rootfs": {"type": "layers", "diff_ids": ids}} | config)
        value = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(repository, told.encode(), CONFIG),
            "layers": [self.blob(repository, one) for one in layers],
            **more,
        }
        return self.manifest(repository, tag, value)

    def index(self, repository: str, tag: str | None, children: list[Json], **more: Any) -> Json:
        """Push an index; its descriptor."""
        value = {"schemaVersion": 2, "mediaType": INDEX, "manifests": children, **more}
        return self.manifest(repository, tag, value)

    def artifact(
        self, repository: str, tag: str | None, kind: str, content: bytes, **more: Any
    ) -> Json:
        """Push something that is no image, as oras and cosign do; its descriptor."""
        value = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": kind,
            "config": self.blob(repository, b"{}", EMPTY),
            "layers": [self.blob(repository, content, kind)],
            **more,
        }
        return self.manifest(repository, tag, value)
