"""THE TABLE OF THE API: operations under /api/v1, noun by noun."""

from functools import cache
from typing import Any, Final

import msgspec

from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web.api import (
    account,
    checks,
    deletion,
    files,
    grants,
    groups,
    images,
    indexing,
    keys,
    openapi,
    registry,
    repositories,
    robots,
    roles,
    search,
    settings,
    tags,
    tokens,
    trail,
    trust,
    users,
    whoami,
)
from kho.server.web.api.operation import Call, Operation
from kho.server.web.api.reading import JSON
from kho.server.web.request import Response
from kho.server.web.route import Route


@cache
def _encoded() -> bytes:
    return msgspec.json.encode(openapi.document(OPERATIONS))


async def _document(resources: Resources, call: Call[None, None]) -> Response:  # noqa: ARG001
    """Made from the same table that the server answers by."""
    body = _encoded()
    headers = [
        (b"content-type", JSON.encode("ascii")),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-cache"),
        (b"x-content-type-options", b"nosniff"),
    ]
    return Response(200, headers, body)


OPERATIONS: Final = (
    Operation(
        id="openapi",
        noun="about",
        method="GET",
        path="/openapi.json",
        action=Action.BROWSE,
        summary="This document",
        function=_document,
        answer=dict[str, Any],
    ),
    *whoami.OPERATIONS,
    *repositories.OPERATIONS,
    *settings.OPERATIONS,
    *tags.OPERATIONS,
    *images.OPERATIONS,
    *files.OPERATIONS,
    *deletion.OPERATIONS,
    *search.OPERATIONS,
    *account.OPERATIONS,
    *users.OPERATIONS,
    *groups.OPERATIONS,
    *roles.OPERATIONS,
    *grants.OPERATIONS,
    *robots.OPERATIONS,
    *tokens.OPERATIONS,
    *trust.OPERATIONS,
    *keys.OPERATIONS,
    *trail.OPERATIONS,
    *registry.OPERATIONS,
    *checks.OPERATIONS,
    *indexing.OPERATIONS,
)
API: Final[tuple[Route, ...]] = tuple(one.route for one in OPERATIONS)
