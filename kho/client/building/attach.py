"""Files that say something about an image: put beside it, found from it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from kho.client.building.artifact import Artifact, ArtifactMaker
from kho.client.building.built import deliver
from kho.client.errors import Damaged
from kho.client.progress import SILENT, Progress
from kho.client.stores.store import Source, Target
from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import RegistryError
from kho.remote.manifests import Manifest
from kho.remote.referrers import MOST, Referrer

DEPTH: Final = 16


async def push_artifact(
    artifact: Artifact, target: Target, tag: str | None, *, told: Progress = SILENT
) -> Manifest:
    """Make an artifact and bring it to a target; one with a subject is listed among its referrers.

    Raises Misused, ClientError, OSError, and what the target raises.
    """
    maker = ArtifactMaker()
    try:
        manifest = await maker.make(artifact)
        if artifact.subject is not None and await target.has_manifest(manifest.digest):
            # An earlier run may have ended before it was listed.
            await target.take_manifest(manifest, None)
        await deliver(maker.built, manifest, target, tag, told=told)
    finally:
        maker.close()
    return manifest


@dataclass(frozen=True, slots=True)
class Found:
    """One referrer, as the registry lists it; `depth` 1 refers to the image itself."""

    depth: int
    digest: Digest
    artifact_type: str
    size: int
    annotations: dict[str, str]
    entry: Referrer


async def all_referrers(
    source: Source, digest: Digest, artifact_type: str | None = None, *, recursive: bool = False
) -> AsyncIterator[Found]:
    """What refers to a manifest, and to that in turn; each followed by what refers to it.

    Raises Damaged for more than MOST in all, or DEPTH deep.
    """
    seen = {digest}
    todo = [(1, one) for one in reversed(await _listed(source, digest, artifact_type))]
    while todo:
        depth, found = todo.pop()
        if found.digest in seen:
            continue
        seen.add(found.digest)
        if len(seen) > MOST or depth > DEPTH:
            what = f"more than {MOST} referrers, or referrers of referrers {DEPTH} deep"
            raise Damaged(f"{source.name}@{digest}: {what}")
        yield Found(
            depth, found.digest, found.artifact_type, found.size, found.annotations, found.entry
        )
        if recursive:
            below = await _listed(source, found.digest, artifact_type)
            todo += [(depth + 1, one) for one in reversed(below)]


async def _listed(source: Source, digest: Digest, artifact_type: str | None) -> list[Found]:
    listed = [_found(source, one) for one in await source.referrers(digest)]
    if artifact_type is None:
        return listed
    return [one for one in listed if one.artifact_type == artifact_type]


def _found(source: Source, entry: Referrer) -> Found:
    size, kind, said = (entry.get(key) for key in ("size", "artifactType", "annotations"))
    try:
        digest = parse_digest(str(entry.get("digest")))
    except RegistryError as error:
        raise Damaged(f"{source.name}: a referrer without a digest: {error.message}") from error
    annotations = said if isinstance(said, dict) else {}
    return Found(
        1,
        digest,
        kind if isinstance(kind, str) else "",
        size if isinstance(size, int) else 0,
        {key: text for key, text in annotations.items() if isinstance(text, str)},
        entry,
    )
