"""The dispatcher asks before it acts, for every row of the URL table."""

import pytest

from kho.oci.errors import Denied
from kho.server.config import Config
from kho.server.policy.access import Principal
from kho.server.web.app import App
from kho.server.web.middleware import Observation
from kho.server.web.request import Message, Request
from kho.server.web.routes import ROUTES, Route
from tests.flows.client import make_scope
from tests.house.test_routes import PARTS, route_id


async def nothing() -> Message:
    """No body ever comes."""
    return {"type": "http.disconnect"}


@pytest.mark.parametrize("route", ROUTES, ids=route_id)
async def test_who_may_nothing_reaches_no_handler(route: Route) -> None:
    scope = make_scope(route.method, route.template.format(**PARTS))
    request = Request(scope, nothing, Config(), Principal("nobody"))
    with pytest.raises(Denied):
        await App(Config())._handle(request, Observation(scope))
