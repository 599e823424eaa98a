"""Small images for tests: of layers as they are, or of files."""

import gzip
import io
import json
import tarfile
from collections.abc import AsyncIterator, Mapping
from typing import Final

from kho.oci import media_types
from kho.oci.digest import Digest
from kho.oci.reference import Reference
from kho.remote import manifests, uploads
from kho.remote.credentials import Lookup
from kho.remote.registry import Registry

_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"


async def push(
    reference: str,
    lookup: Lookup,
    layers: tuple[bytes, ...],
    files: Mapping[str, bytes] | None,
    config: Mapping[str, object] | None,
) -> str:
    """Push an image; its digest. `layers` are gzipped tars, or bytes that shall pass as such."""
    tars = [_unpacked(layer) for layer in layers]
    if files is not None or not layers:
        tar = _tar(files or {"hello": b"hello\n"})
        tars.append(tar)
        layers = (*layers, gzip.compress(tar, mtime=0))
    whole = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(tar)) for tar in tars]},
        **(config or {}),
    }
    ref = Reference.parse(reference)
    async with Registry(ref.host, lookup=lookup) as registry:
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": await _blob(registry, ref, json.dumps(whole).encode(), _CONFIG),
            "layers": [await _blob(registry, ref, layer, _LAYER) for layer in layers],
        }
        content = json.dumps(manifest).encode()
        stored = await manifests.put(
            registry, ref.repository, ref.target, media_types.OCI_MANIFEST, content
        )
    return str(stored.digest)


async def _blob(
    registry: Registry, ref: Reference, content: bytes, media_type: str
) -> dict[str, object]:
    digest = Digest.of(content)

    async def whole() -> AsyncIterator[bytes]:
        yield content

    session = await uploads.start(registry, ref.repository)
    if content:
        session = await uploads.append(
            registry, ref.repository, session, whole(), len(content), ranged=False
        )
    await uploads.finish(registry, ref.repository, session, digest)
    return {"mediaType": media_type, "digest": str(digest), "size": len(content)}


def _unpacked(layer: bytes) -> bytes:
    try:
        return gzip.decompress(layer)
    except (OSError, EOFError):
        return layer


def _tar(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()
