"""All images of an archive into a local store, under the names that they have in it."""

from collections.abc import AsyncIterator

from kho.client.archives.archive import Archive
from kho.client.errors import Damaged
from kho.client.progress import SILENT, Progress
from kho.client.stores.copy import PARALLEL, Copier
from kho.client.stores.layout import Layout
from kho.oci.digest import Digest
from kho.oci.reference import Reference, ReferenceInvalid


async def load(
    archive: Archive, store: Layout, *, parallel: int = PARALLEL, told: Progress = SILENT
) -> AsyncIterator[tuple[Digest, str | None]]:
    """Yield what is there, digest and name, as it is done; raise Damaged where nothing is in it.

    An image without a name is listed by its digest.
    """
    images = await archive.images()
    if not images:
        raise Damaged(f"{archive.name}: no image is in it")
    for image in images:
        names = [name for name in map(_full, image.names) if name is not None]
        copier = Copier(archive, store, referrers=True, parallel=parallel, told=told)
        copied = await copier.copy(image.key, names)
        if not names:
            size = store.path(copied.digest).stat().st_size
            entry = {"mediaType": copied.media_type, "digest": str(copied.digest), "size": size}
            store.enlist(entry, None)
        for name in names or (None,):
            yield copied.digest, name


def _full(name: str) -> str | None:
    """As the local store names it; None for what is no name of an image."""
    try:
        found = Reference.parse(name)
    except ReferenceInvalid:
        return None
    return None if found.digest is not None else str(found)
