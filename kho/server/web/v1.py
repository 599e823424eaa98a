"""GET /v1/search and /v1/_ping: what `docker search` and `podman search` ask (PROTOCOL section 9).

Everybody may ask, and sees what they may pull: without a login what is public, also where an
anonymous caller may do nothing else. podman never logs in for it; docker does.
"""

from dataclasses import replace
from typing import Final

from kho.oci.ranges import parse_count
from kho.server.index import search as index
from kho.server.policy.access import Principal
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.v2.answers import json_answer

DEFAULT: Final = 25
_PAGES: Final = 1000


async def ping(resources: Resources, request: Request) -> Response:  # noqa: ARG001
    """Docker logs in to a search with a password only where it reads `standalone` here."""
    return json_answer(200, {"standalone": True}, ("X-Docker-Registry-Standalone", "true"))


async def search(resources: Resources, request: Request) -> Response:
    """A page of repositories, the best first; `num_results` is a lower bound of very many."""
    query = request.query("q") or ""
    size = max(1, parse_count(request.query("n"), DEFAULT, index.MOST))
    page = max(1, parse_count(request.query("page"), 1, _PAGES))
    found = await index.find(
        resources,
        _searcher(request.caller.principal),
        query,
        skip=(page - 1) * size,
        limit=size,
    )
    answer = {
        "query": query,
        "num_results": found.count,
        "num_pages": max(1, -(-found.count // size)),
        "page": page,
        "page_size": size,
        "results": [_result(hit) for hit in found.hits],
    }
    return json_answer(200, answer)


def _result(hit: index.Hit) -> dict[str, object]:
    return {
        "name": hit.name,
        "description": hit.description,
        "star_count": 0,
        "is_official": False,
        "is_automated": False,
        "is_trusted": False,
    }


def _searcher(principal: Principal) -> Principal:
    """A token of /token for `registry:catalog` names no repository: the search is what it is for.

    The ceiling of the access token that it was got with stays.
    """
    if principal.bearer and principal.catalog:
        return replace(principal, ceilings=principal.ceilings[1:])
    return principal
