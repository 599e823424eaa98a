"""Administration: the registry itself, at a glance, its settings, health and keys."""

from collections.abc import Awaitable
from itertools import groupby
from time import monotonic
from typing import NamedTuple

from kho import __version__
from kho.oci.errors import RegistryError
from kho.server.config import describe
from kho.server.index import counts
from kho.server.index.catalogue import storage
from kho.server.index.tokens import keys as signing
from kho.server.jobs.schedule import JOBS
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import forms
from kho.server.web.ui.admin import frame


class Part(NamedTuple):
    """Something that the registry stands on: whether it takes reads and writes."""

    name: str
    good: bool
    told: RegistryError | None
    milliseconds: int


async def dashboard(resources: Resources, request: Request) -> Response:
    """How many of what, and what happened last."""
    return await frame.page(
        *(resources, request, ""),
        counts=await counts.every(resources),
        storage=await storage.storage(resources, request.caller.principal),
        version=__version__,
    )


async def configuration(resources: Resources, request: Request) -> Response:
    """Every setting that is in effect, and where it is from; secrets are masked."""
    only = request.query("only") == "changed"
    rows = [row for row in describe(resources.config) if not only or row.source != "default"]
    sections = [
        (section, list(found))
        for section, found in groupby(rows, lambda row: row.key.rpartition(".")[0])
    ]
    return await frame.page(
        *(resources, request, "configuration"),
        sections=sections,
        only=only,
        warnings=resources.config.warnings,
    )


async def health(resources: Resources, request: Request) -> Response:
    """Database and storage are tried now."""
    parts = [
        await _part("database", resources.database.ping()),
        await _part("storage", resources.storage.ping()),
    ]
    urls = {row.key: row.value for row in describe(resources.config)}
    return await frame.page(
        *(resources, request, "health"),
        parts=parts,
        jobs=[(job.name, round(job.seconds)) for job in JOBS],
        workers=resources.config.worker_count,
        version=__version__,
        database=urls["database"] or "sqlite",
        storage=urls["storage"] or "files",
        data=str(resources.config.data),
        figures=resources.config.metrics.enabled,
    )


async def _part(name: str, trial: Awaitable[None]) -> Part:
    started = monotonic()
    told = None
    try:
        await trial
    except RegistryError as error:
        told = error
    return Part(name, told is None, told, round((monotonic() - started) * 1000))


async def keys(resources: Resources, request: Request) -> Response:
    """The keys that sign the tokens of /token."""
    return await frame.page(*(resources, request, "keys"), keys=await signing.list_keys(resources))


async def rotate(resources: Resources, request: Request) -> Response:
    """Make a new key."""
    form = await forms.posted(resources, request)
    overlap = not form.has("drop_old")
    await signing.rotate(resources, by=request.caller.by, overlap=overlap)
    return forms.done("/-/admin/keys", "key-made")
