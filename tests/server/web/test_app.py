"""The dispatcher asks before it acts, for every row of the URL table."""

import pytest

from kho.oci.errors import Unauthorized
from kho.server.policy.access import FREE, Action
from kho.server.web.middleware import Observation
from kho.server.web.request import Message, Request
from kho.server.web.route import Route
from kho.server.web.routes import ROUTES
from tests.flows.client import make_scope
from tests.flows.registry import Registry
from tests.house.test_routes import PARTS, route_id

GUARDED = [route for route in ROUTES if route.action not in FREE | {Action.BROWSE}]


async def nothing() -> Message:
    """No body ever comes."""
    return {"type": "http.disconnect"}


@pytest.mark.settings(auth__htpasswd="/nobody", listen="192.0.2.1:5000")
@pytest.mark.parametrize("route", GUARDED, ids=route_id)
async def test_who_may_nothing_reaches_no_handler(registry: Registry, route: Route) -> None:
    app = registry.workers[-1].app
    scope = make_scope(route.method, route.template.format(**PARTS))
    request = Request(scope, nothing, registry.config)
    with pytest.raises(Unauthorized, match="authentication required"):
        await app._handle(request, Observation(scope))
