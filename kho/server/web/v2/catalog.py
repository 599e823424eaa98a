"""GET _catalog (Docker V2)."""

from kho.oci.ranges import next_link, parse_count
from kho.server.registry import repositories
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.v2.answers import json_answer

DEFAULT = 100


async def page(resources: Resources, request: Request) -> Response:
    """Repositories that hold manifests, `/` sorted lowest; a Link where more follow."""
    maximum = resources.config.limits.page
    limit = parse_count(request.query("n"), min(DEFAULT, maximum), maximum)
    found = await repositories.page(
        resources, request.caller.principal, request.query("last"), limit + 1
    )
    more = len(found) > limit > 0
    found = found[:limit]
    if not more:
        return json_answer(200, {"repositories": found})
    link = next_link("/v2/_catalog", [("last", found[-1]), ("n", limit)])
    return json_answer(200, {"repositories": found}, link)
