"""What happened in a repository, for those who run it."""

from typing import Final, get_args

from kho.server.index.catalogue import activity
from kho.server.index.catalogue.activity import Which
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import render
from kho.server.web.ui.repositories import repository

ROWS: Final = 50
_WHICH: Final[tuple[Which, ...]] = get_args(Which)


async def page(resources: Resources, request: Request) -> Response:
    """The newest first. Raises Denied for who may not look."""
    which: Which = next((one for one in _WHICH if one == request.query("which")), "all")
    cursor = request.query("cursor") or None
    name, principal = request.values.name, request.caller.principal
    found = await activity.page(resources, principal, name, which=which, cursor=cursor, limit=ROWS)
    return await render.page(
        resources,
        request,
        "activity.html",
        shared=repository.frame(request, "activity"),
        which=which,
        choices=_WHICH,
        events=found.events,
        following=repository.with_query(request, cursor=found.next) if found.next else "",
        first=repository.with_query(request) if cursor else "",
    )
