"""Content for the suite: digests by number, manifests, filled repositories."""

from collections.abc import Sequence

from kho.oci.digest import Digest
from kho.server.database import blobs, manifests, repositories, tags
from kho.server.database.engine import Transaction
from kho.server.database.manifests import Kind, NewManifest

MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"


def digest(number: int) -> Digest:
    """Digests that sort like their numbers."""
    return Digest("sha256", f"{number:064x}")


def manifest(
    number: int,
    *,
    references: Sequence[tuple[Kind, Digest]] = (),
    subject: Digest | None = None,
    artifact_type: str | None = None,
    annotations: dict[str, str] | None = None,
) -> NewManifest:
    """A manifest with the digest of that number; its body is not what the digest says."""
    return NewManifest(
        digest=digest(number),
        media_type=MEDIA_TYPE,
        artifact_type=artifact_type,
        subject=subject,
        annotations=annotations,
        body=b'{"number": %d}' % number,
        references=references,
    )


async def put_blob(tx: Transaction, repository: str, number: int, size: int = 10) -> Digest:
    """A blob of a repository, as a finished upload leaves it."""
    await blobs.put(tx, digest(number), size)
    await blobs.link(tx, await repositories.ensure(tx, repository), digest(number))
    return digest(number)


async def put_manifest(tx: Transaction, repository: str, new: NewManifest, *names: str) -> int:
    """A manifest of a repository, with these tags; the repository's id."""
    repository_id = await repositories.ensure(tx, repository)
    await manifests.put(tx, repository_id, new)
    for name in names:
        await tags.point(tx, repository_id, name, new.digest, "pusher")
    return repository_id
