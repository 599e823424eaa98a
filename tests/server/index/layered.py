"""Images made of layers that a test writes, in a registry, with their files listed."""

import asyncio
import gzip

from kho.oci.digest import Digest
from kho.server.database import layer_listings
from kho.server.index.files.stack import Stack, State, stack_of
from kho.server.inspection.order import DEFAULT, Bounds
from kho.server.jobs import listings
from kho.server.resources import Resources
from tests.flows.registry import Registry

REPOSITORY = "a/b"
_SETTLED = {State.DONE, State.REFUSED}


def resources_of(registry: Registry) -> Resources:
    found = registry.workers[-1].app.resources
    assert found is not None
    return found


async def push_layers(registry: Registry, *layers: bytes) -> list[Digest]:
    """Blobs as they are, asked for as a push does; nothing is listed yet."""
    digests = []
    for one in layers:
        await registry.push_blob(REPOSITORY, one)
        digests.append(Digest.of(one))
    return digests


async def listed(
    registry: Registry, *layers: bytes, packed: bool = True, bounds: Bounds = DEFAULT
) -> Stack:
    """An image of these tars from the lowest on, when all of them are listed, or refused."""
    stored = [gzip.compress(one, 1, mtime=0) for one in layers] if packed else layers
    digests = await push_layers(registry, *stored)
    resources = resources_of(registry)
    await resources.database.write(layer_listings.request, digests)
    return await settled(resources, digests, bounds)


async def settled(
    resources: Resources, digests: list[Digest], bounds: Bounds = DEFAULT, repository: str = ""
) -> Stack:
    """Wait for the job of the worker, which may be at it, too."""
    while True:
        await listings.work(resources, bounds)
        stack = await stack_of(resources, repository or REPOSITORY, digests)
        if all(one.state in _SETTLED for one in stack.layers):
            return stack
        await asyncio.sleep(0.02)
