"""What the index should know of repositories that an older version made, found out beside requests.

    for each repository that is not indexed:
        tags       whose they are, how they sort              small transactions; a worker that is
        images     config and labels, sizes                   killed leaves what is done, and the
        indexes    from what their images say                 next goes on
        tags       how large they are
        the row    size and number of tags counted anew, words of the search, indexed = 1

Several workers may do the same: each begins somewhere else, and what is written is the same.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from kho.oci.digest import parse_digest
from kho.oci.errors import ManifestInvalid
from kho.oci.manifest import Manifest, parse_manifest
from kho.server import telemetry
from kho.server.database import audit, facts, filling, images, layer_listings
from kho.server.database.audit import Event
from kho.server.database.engine import Transaction
from kho.server.database.facts import Doubted
from kho.server.database.filling import StoredManifest
from kho.server.database.images import ImageFacts
from kho.server.database.searching import search_writing
from kho.server.registry import indexing
from kho.server.registry.images import facts_of_image, kind_of
from kho.server.registry.indexing import CONFIG_BYTES, Learnt
from kho.server.resources import Resources

REPOSITORIES: Final = 50
MANIFESTS: Final = 20
TAGS: Final = 200


async def fill(resources: Resources) -> int:
    """Find out what is not known; of how many repositories it was."""
    if not resources.config.index.enabled:
        return 0
    done = after = 0
    while True:
        found = await resources.database.read(facts.doubted, after, REPOSITORIES)
        if not found:
            return done
        after = found[-1].id
        for one in random.sample(found, len(found)):
            if not await resources.database.read(facts.is_doubted, one.id):
                continue  # another worker was quicker
            try:
                await _fill(resources, one)
            except Exception as error:  # noqa: BLE001  the others must not wait for it
                telemetry.log_failure("cannot index", error, repository=one.name)
            else:
                done += 1


async def rebuild(
    resources: Resources,
    repository: str | None,
    *,
    by: str,
    address: str = "",
    request_id: str = "",
) -> int:
    """Have everything of a repository, or of all, found out again; how many those are."""
    event = Event(
        "index.rebuild", "allowed", by, repository, address=address, request_id=request_id
    )
    return await resources.database.write(_doubt, event)


async def _doubt(tx: Transaction, event: Event) -> int:
    found = await facts.doubt_all(tx, event.repository)
    if found:
        await audit.record(tx, event)
    return found


async def _fill(resources: Resources, one: Doubted) -> None:
    await _tags(resources, one.id)  # whose they are, images are told to be
    for indexes in (False, True):
        after = 0
        while True:
            found = await resources.database.read(
                filling.manifests_after, one.id, after, MANIFESTS, indexes=indexes
            )
            if not found:
                break
            after = found[-1].id
            # What an index says comes from its images, which may not have been known.
            unknown = [row for row in found if indexes or one.indexed < 0 or not row.known]
            await _learn(resources, one.id, unknown)
            await asyncio.sleep(0)
    await _tags(resources, one.id)
    await resources.database.write(_finish, one.id)


async def _tags(resources: Resources, repository_id: int) -> None:
    after: str | None = ""
    while after is not None:
        after = await resources.database.write(filling.fill_tags, repository_id, after, TAGS)


async def _learn(resources: Resources, repository_id: int, rows: Sequence[StoredManifest]) -> None:
    found: list[tuple[Learnt, str]] = []
    for row in rows:
        try:
            manifest = parse_manifest(row.body, row.media_type)
        except ManifestInvalid:  # `khod fsck` tells of it
            continue
        known = await _facts(resources, repository_id, manifest, len(row.body))
        layers = indexing.listable(resources, manifest)
        learnt = Learnt(
            parse_digest(row.digest), manifest, row.body, known, new=False, layers=layers
        )
        found.append((learnt, row.pushed_by))
    if found:
        await resources.database.write(_keep, repository_id, found)


async def _facts(
    resources: Resources, repository_id: int, manifest: Manifest, size: int
) -> ImageFacts | None:
    if manifest.is_index:
        return None
    content = None
    if kind_of(manifest) == "image":
        config = manifest.references[0].digest
        length = await resources.database.read(filling.blob_length, repository_id, str(config))
        if length is not None and length <= CONFIG_BYTES:
            content = await indexing.read_config(resources, config, length)
    return facts_of_image(manifest, size, content)


async def _keep(tx: Transaction, repository_id: int, found: Sequence[tuple[Learnt, str]]) -> None:
    for learnt, by in found:
        known = await indexing.facts_of(tx, repository_id, learnt)
        if known is not None:
            await images.put(tx, repository_id, str(learnt.digest), known, by, again=True)
    layers = {layer for learnt, _ in found for layer in learnt.layers}
    if layers:
        await layer_listings.request(tx, sorted(layers, key=str))


async def _finish(tx: Transaction, repository_id: int) -> None:
    await facts.recount(tx, repository_id)
    await search_writing.refresh(tx, repository_id)
