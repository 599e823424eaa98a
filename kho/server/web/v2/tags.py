"""GET tags/list (end-8)."""

from kho.oci.ranges import next_link, parse_count
from kho.server.registry import tags
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.v2.answers import json_answer


async def page(resources: Resources, request: Request) -> Response:
    """Tags in byte order; a Link where more follow."""
    name, maximum = request.values.name, resources.config.limits.page
    limit = parse_count(request.query("n"), maximum, maximum)
    found = await tags.page(resources, name, request.query("last"), limit + 1)
    more = len(found) > limit > 0
    found = found[:limit]
    value = {"name": name, "tags": found}
    if not more:
        return json_answer(200, value)
    return json_answer(200, value, next_link(request.path, [("last", found[-1]), ("n", limit)]))
