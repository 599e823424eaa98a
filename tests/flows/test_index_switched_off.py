"""`index.enabled = false` leaves a plain registry: no page, no search, no API."""

import json

import pytest

from kho.server.web.routes import ROUTES
from tests.flows.registry import Registry

pytestmark = pytest.mark.settings(index__enabled=False)
PARTS = {"name": "a/b", "tag": "x", "digest": "sha256:" + "0" * 64}


async def test_nothing_of_the_index_is_there(registry: Registry) -> None:
    client = registry.client
    for route in ROUTES:
        if not route.index:
            continue
        path = route.template
        for part in ("name", "tag", "digest"):
            path = path.replace("{" + part + "}", PARTS[part])
        path = path.replace("{", "").replace("}", "")
        answer = await client.request(route.method, path)
        assert answer.status == 404, (route.method, path, answer.status)


async def test_the_protocol_is(registry: Registry) -> None:
    client = registry.client
    assert (await client.request("GET", "/v2/")).status == 200
    answer = await client.request("GET", "/v2/_catalog")
    assert json.loads(answer.body) == {"repositories": []}
