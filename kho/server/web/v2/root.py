"""GET /v2/ (end-1) and extension discovery."""

from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.v2.answers import json_answer


async def ping(resources: Resources, request: Request) -> Response:  # noqa: ARG001
    """Tell that this is a registry."""
    return json_answer(200, {})


async def extensions(resources: Resources, request: Request) -> Response:  # noqa: ARG001
    """No extensions yet."""
    return json_answer(200, {"extensions": []})
