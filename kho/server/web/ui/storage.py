"""Who takes how much room."""

from typing import Final

from kho.server.index.catalogue import storage
from kho.server.index.catalogue.storage import Storage
from kho.server.resources import Resources
from kho.server.web.paths import page_of
from kho.server.web.request import Request, Response
from kho.server.web.ui import choices, render

DRAWN: Final = 60
LISTED: Final = 100
LARGEST: Final = 20  # where namespaces stand above them
Area = tuple[str, int, str]  # label, bytes, where it leads


async def page(resources: Resources, request: Request) -> Response:
    """Of what the viewer may pull; of one namespace, or of all."""
    namespace = choices.text(request, "namespace").strip("/")
    found = await storage.storage(resources, request.caller.principal, namespace=namespace)
    areas = _areas(found) if namespace or _one(found) else _spaces(found)
    return await render.page(
        resources,
        request,
        "storage.html",
        namespace=namespace,
        storage=found,
        areas=areas,
        rest=found.size - sum(size for _, size, _ in areas),
        spaces=[] if namespace else found.namespaces[:LISTED],
        largest=found.largest[: LISTED if namespace or _one(found) else LARGEST],
    )


def _one(found: Storage) -> bool:
    """Whether namespaces would tell nothing."""
    return len([one for one in found.namespaces if one.size]) <= 1


def _spaces(found: Storage) -> list[Area]:
    return [
        (one.name or "/", one.size, choices.address("/-/storage", namespace=one.name))
        for one in found.namespaces[:DRAWN]
        if one.size
    ]


def _areas(found: Storage) -> list[Area]:
    return [(one.name, one.size, page_of(one.name)) for one in found.largest[:DRAWN]]
