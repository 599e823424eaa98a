"""Where tags have pointed: who moved them, and the way back."""

from typing import Final

from kho.server.index.catalogue import history
from kho.server.policy.access import Action, allowed
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import render
from kho.server.web.ui.repositories import repository

ROWS: Final = 50


async def page(resources: Resources, request: Request) -> Response:
    """Of all tags, or of one; the newest first."""
    name, tag = request.values.name, (request.query("tag") or "")[:128]
    cursor = request.query("cursor") or None
    found = await history.page(resources, name, tag=tag or None, cursor=cursor, limit=ROWS)
    principal = request.caller.principal
    return await render.page(
        resources,
        request,
        "history.html",
        shared=repository.frame(request, "history"),
        tag=tag,
        moves=found.moves,
        may_move=allowed(principal, Action.OVERWRITE, name),
        following=repository.with_query(request, cursor=found.next) if found.next else "",
        first=repository.with_query(request) if cursor else "",
    )
