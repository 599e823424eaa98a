"""The first page: the repositories."""

from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import render


async def page(resources: Resources, request: Request) -> Response:
    """What the viewer may pull."""
    return await render.page(resources, request, "home.html")
