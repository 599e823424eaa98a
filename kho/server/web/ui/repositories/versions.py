"""The manifests of a repository by digest, untagged ones too; parts stand under what lists them."""

from typing import Final, get_args

from kho.server.index.catalogue import versions
from kho.server.index.catalogue.versions import Kind, Tagged, Version, VersionQuery
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import render
from kho.server.web.ui.repositories import repository

ROWS: Final = 40
# Of what stands under the versions of one page: of each as many, and never fewer than some.
INSIDE: Final = 120
_FEWEST: Final = 3
_TAGGED: Final[tuple[Tagged, ...]] = get_args(Tagged)
_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


async def page(resources: Resources, request: Request) -> Response:
    """The newest first, filtered as the query says."""
    tagged: Tagged = next((one for one in _TAGGED if one == request.query("tagged")), "all")
    kind = next((one for one in _KINDS if one == request.query("kind")), None)
    cursor = request.query("cursor") or None
    wanted = VersionQuery(tagged, kind, cursor, ROWS)
    found = await versions.page(resources, request.values.name, wanted)
    return await render.page(
        resources,
        request,
        "versions.html",
        shared=repository.frame(request, "versions"),
        tagged=tagged,
        kind=kind or "",
        versions=found.versions,
        inside=_inside(found.versions),
        following=repository.with_query(request, cursor=found.next) if found.next else "",
        first=repository.with_query(request) if cursor else "",
    )


def _inside(shown: tuple[Version, ...]) -> int:
    """How many children, and how many attachments, are shown of each version."""
    whole = sum(1 for one in shown if one.children) + sum(1 for one in shown if one.referrers)
    return max(_FEWEST, INSIDE // max(1, whole))
