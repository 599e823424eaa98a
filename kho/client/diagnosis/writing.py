"""Push and pull of a tiny image, and what the registry can do on the way."""

import gzip
import json
import secrets
from collections.abc import AsyncIterator
from typing import Final

from kho.client.diagnosis.findings import Finding, fail, ok, warn
from kho.oci.digest import Digest
from kho.remote import blobs, manifests, uploads
from kho.remote.errors import NotFound, Refused, RemoteError
from kho.remote.registry import Registry

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
# An archive of nothing ends with two blocks of zeros.
_EMPTY_TAR: Final = bytes(1024)
_CHUNKS: Final = 2


async def write_and_read(registry: Registry, repository: str) -> AsyncIterator[Finding]:
    """Push an image of one empty layer under a tag of its own, read it, delete it."""
    tag = f"kho-doctor-{secrets.token_hex(4)}"
    layer = gzip.compress(_EMPTY_TAR, mtime=0)
    diff = {"type": "layers", "diff_ids": [str(Digest.of(_EMPTY_TAR))]}
    facts = {"architecture": "amd64", "os": "linux", "rootfs": diff, "config": {"User": tag}}
    config = json.dumps(facts).encode()
    content = _manifest(config, layer)
    try:
        for blob in (config, layer):
            await _push_whole(registry, repository, blob)
        yield ok("push", f"blobs to {registry.name}/{repository}")
    except RemoteError as error:
        yield fail("push", str(error), _advice(error), error)
        return
    yield await _chunked(registry, repository)
    try:
        await manifests.put(registry, repository, tag, _MANIFEST, content)
        got = await manifests.get(registry, repository, tag)
        if got.content != content:
            yield fail("pull", f"{repository}:{tag}: other bytes came than were sent")
        else:
            yield ok("pull", f"{repository}:{tag} came back as it was sent")
        yield await _ranged(registry, repository, config)
    except RemoteError as error:
        yield fail("push", str(error), _advice(error), error)
        return
    yield await _cleaned(registry, repository, tag, Digest.of(content))


def _manifest(config: bytes, layer: bytes) -> bytes:
    def described(media_type: str, content: bytes) -> dict[str, object]:
        return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content)}

    value = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": described(_CONFIG, config),
        "layers": [described(_LAYER, layer)],
    }
    return json.dumps(value).encode()


async def _bytes(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _push_whole(registry: Registry, repository: str, content: bytes) -> None:
    session = await uploads.start(registry, repository)
    session = await uploads.append(
        registry, repository, session, _bytes(content), len(content), ranged=False
    )
    await uploads.finish(registry, repository, session, Digest.of(content))


async def _chunked(registry: Registry, repository: str) -> Finding:
    """Two chunks of one upload: needed to go on with a push that broke off."""
    chunk = secrets.token_bytes(32)
    try:
        session = await uploads.start(registry, repository)
        for _ in range(_CHUNKS):
            if session.least > len(chunk):
                least = f"chunks of at least {session.least} bytes"
                await uploads.cancel(registry, repository, session)
                return ok("chunks", f"the registry wants {least}")
            session = await uploads.append(
                registry, repository, session, _bytes(chunk), len(chunk), ranged=True
            )
        await uploads.cancel(registry, repository, session)
    except RemoteError as error:
        return warn("chunks", f"not taken: {error}", "a push that breaks off starts its layer anew")
    return ok("chunks", "uploads can go on where they broke off")


async def _ranged(registry: Registry, repository: str, content: bytes) -> Finding:
    start = len(content) // 2
    async with blobs.open_at(registry, repository, Digest.of(content), start) as stream:
        got = b"".join([piece async for piece in stream.pieces])
    if got != content[stream.start :]:
        return fail("ranges", "other bytes came than were sent")
    if stream.start != start:
        advice = "a pull that breaks off starts its layer anew"
        return warn("ranges", "downloads always begin at the first byte", advice)
    return ok("ranges", "downloads can go on where they broke off")


async def _cleaned(registry: Registry, repository: str, tag: str, digest: Digest) -> Finding:
    left = f"{registry.name}/{repository}:{tag} is left there"
    try:
        await manifests.delete(registry, repository, str(digest))
    except NotFound:
        pass
    except Refused as error:
        return warn("clean-up", f"{left}: {error}", "delete it as the registry wants it")
    except RemoteError as error:
        return warn("clean-up", f"{left}: {error}")
    return ok("clean-up", "the image is deleted again")


def _advice(error: RemoteError) -> str:
    if isinstance(error, NotFound):
        return "some registries (ECR) want the repository to be made first"
    if isinstance(error, Refused) and error.status in (401, 403):
        return "this login may not push there: ask for the right, or log in as somebody else"
    return "look at the registry's log"
