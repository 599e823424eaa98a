"""What the index learns of a push or a deletion, in the transaction that does it.

    push ─► known already? ─no─► the config blob is read (256 KiB at most), before the transaction
                                    │
    transaction: manifest ─► images row ─► tags ─► repositories row, locked last ─► words

A blob's bytes count for a repository as long as it is linked, a manifest's as long as it is there.
"""

from dataclasses import dataclass
from typing import Final

from kho.oci import media_types
from kho.oci.digest import Digest
from kho.oci.errors import Unavailable
from kho.oci.manifest import Manifest
from kho.server.database import facts, images, layer_listings
from kho.server.database.engine import Transaction
from kho.server.database.images import ImageFacts
from kho.server.database.searching import search_writing
from kho.server.registry.aside import aside
from kho.server.registry.images import facts_of_image, facts_of_index, kind_of
from kho.server.resources import Resources

CONFIG_BYTES: Final = 256 * 1024


async def prepare(
    resources: Resources, repository: str, digest: Digest, manifest: Manifest, size: int
) -> ImageFacts | None:
    """What can be known before the transaction; None of an index, and of what is known already.

    The config is one that the repository has, so that none is read that its pusher could not.
    """
    if manifest.is_index:
        return None
    config = manifest.references[0].digest
    known, length = await resources.database.read(images.look, repository, digest, config)
    if known:
        return None
    content = None
    if length is not None and length <= CONFIG_BYTES and kind_of(manifest) == "image":
        content = await read_config(resources, config, length)
    return await aside(
        resources, size + len(content or b""), facts_of_image, manifest, size, content
    )


async def read_config(resources: Resources, digest: Digest, length: int) -> bytes | None:
    """The whole blob; None when its bytes are not there or not right."""
    reader = await resources.storage.open(digest, length)
    if reader is None:
        return None
    try:
        content = b"".join([piece async for piece in reader.chunks(0, length)])
    except Unavailable:
        return None
    finally:
        reader.close()
    return content if Digest.of(content, digest.algorithm) == digest else None


@dataclass(frozen=True, slots=True)
class Learnt:
    """A manifest that was stored; `new` when it was not there. `facts` are what was prepared.

    `layers` are those whose files are to be listed.
    """

    digest: Digest
    manifest: Manifest
    content: bytes
    facts: ImageFacts | None
    new: bool
    layers: tuple[Digest, ...] = ()


def listable(resources: Resources, manifest: Manifest) -> tuple[Digest, ...]:
    """The layers of an image whose files can be listed, if that is wanted here."""
    index = resources.config.index
    if not (index.enabled and index.files) or manifest.is_index:
        return ()
    layers = (one for one in manifest.references if one.kind == "layer")
    found = {one.digest for one in layers if media_types.is_tar_layer(one.media_type)}
    return tuple(sorted(found, key=str))  # so that two pushes never wait for each other


async def learn(tx: Transaction, repository_id: int, learnt: Learnt, by: str) -> None:
    """Keep what is known of the image; before its tags, which have its size."""
    known = await facts_of(tx, repository_id, learnt)
    if known is not None:
        await images.put(tx, repository_id, str(learnt.digest), known, by)
    if learnt.new and learnt.layers:
        await layer_listings.request(tx, learnt.layers)


async def pushed(tx: Transaction, repository_id: int, learnt: Learnt, new_tags: int) -> None:
    """Count it, and so many tags that were not there; last in its transaction."""
    size = len(learnt.content) if learnt.new else 0
    if learnt.new and learnt.facts is None and not learnt.manifest.is_index:
        await facts.doubt(tx, repository_id)  # it was known a moment ago, and was deleted since
    await facts.push(tx, repository_id, size=size, tags=new_tags)
    await search_writing.refresh(tx, repository_id)


async def facts_of(tx: Transaction, repository_id: int, learnt: Learnt) -> ImageFacts | None:
    """What is known of it; of an index what its images say, as far as these are known."""
    if not learnt.manifest.is_index:
        return learnt.facts
    digests = list(dict.fromkeys(item.digest for item in learnt.manifest.references))
    children = await images.children(tx, repository_id, digests)
    return facts_of_index(learnt.manifest, learnt.content, children)


async def pointed(tx: Transaction, repository_id: int, new_tags: int) -> None:
    """A tag points at something that was there; so many were not. Last in its transaction."""
    await facts.change(tx, repository_id, tags=new_tags)
    await search_writing.refresh(tx, repository_id)


async def removed(tx: Transaction, repository_id: int, *, size: int, tags: int) -> None:
    """A manifest of so many bytes and so many tags are gone."""
    await facts.change(tx, repository_id, size=-size, tags=-tags)
    await search_writing.refresh(tx, repository_id)


async def linked(tx: Transaction, repository_id: int, size: int) -> None:
    """The repository has a blob more of so many bytes, or less."""
    await facts.resize(tx, repository_id, size)
