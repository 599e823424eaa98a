"""The tags of a repository."""

from typing import Final

from kho.server.index.catalogue import tags
from kho.server.index.catalogue.tags import Order, TagQuery
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import render
from kho.server.web.ui.repositories import repository

ROWS: Final = 50
_ORDERS: Final[tuple[Order, ...]] = ("name", "pushed", "size", "pulls")
# What one wants to see first: the newest, the largest, the most pulled.
_DESCENDING: Final = frozenset({"pushed", "size", "pulls"})


async def page(resources: Resources, request: Request) -> Response:
    """Filtered and sorted as the query says."""
    order: Order = next((one for one in _ORDERS if one == request.query("sort")), "pushed")
    usual = order in _DESCENDING
    descending = {"up": False, "down": True}.get(request.query("order") or "", usual)
    text = (request.query("q") or "").strip()[:128]
    cursor = request.query("cursor") or None
    wanted = TagQuery(text, order, descending, cursor, ROWS)
    found = await tags.page(resources, request.values.name, wanted)
    sorters = {one: _sorter(request, one, order, descending) for one in _ORDERS}
    return await render.page(
        resources,
        request,
        "tags.html",
        shared=repository.frame(request, "tags"),
        text=text,
        tags=found.tags,
        sorters=sorters,
        following=repository.with_query(request, cursor=found.next) if found.next else "",
        first=repository.with_query(request) if cursor else "",
    )


def _sorter(request: Request, one: Order, order: Order, descending: bool) -> tuple[str, str]:
    """Where a click on the head leads, and how it is sorted now."""
    if one != order:
        return repository.with_query(request, sort=one, order=""), ""
    turned = "up" if descending else "down"
    direction = "descending" if descending else "ascending"
    return repository.with_query(request, sort=one, order=turned), direction
