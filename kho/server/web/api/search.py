"""Search over names, descriptions, labels, tags, platforms and licences."""

from typing import Annotated, Final, Literal

from msgspec import Meta

from kho.server.index import search
from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web.api.operation import Call, Operation, Told
from kho.server.web.api.paging import Paged
from kho.server.web.api.values import Time, time_or_none


class WhatToFind(Paged, frozen=True):
    """Words, all of which must be there; none of them finds everything, the most pulled first."""

    q: Annotated[str, Meta(max_length=1000, description="words")] = ""
    platform: Annotated[str, Meta(max_length=255, description="os/architecture[/variant]")] = ""
    kind: Literal["", "image", "index", "artifact"] = ""
    public: bool | None = None


class Match(Told, frozen=True):
    """Why it was found: a piece of the text of a field, and where the words are in it."""

    field: str
    text: str
    ranges: list[list[int]]


class Hit(Told, frozen=True):
    """A repository; size in bytes."""

    name: str
    description: str
    match: Match | None
    pulls: int
    pushed_at: Time | None
    size: int
    tags: int
    public: bool


class Hits(Told, frozen=True):
    """A page of what was found, the best first. `count` is a lower bound unless `exact`."""

    items: list[Hit]
    next: str | None
    count: int
    exact: bool


async def find(resources: Resources, call: Call[WhatToFind, None]) -> Hits:
    """What the caller may pull, and nothing else."""
    query = call.query
    found = await search.find(
        resources,
        call.caller.principal,
        query.q,
        platform=query.platform,
        kind=query.kind,
        public=query.public,
        cursor=query.after or None,
        limit=query.limit,
    )
    return Hits(
        items=list(map(_told, found.hits)), next=found.cursor, count=found.count, exact=found.exact
    )


def _told(hit: search.Hit) -> Hit:
    match = None
    if hit.match is not None:
        ranges = [list(one) for one in hit.match.ranges]
        match = Match(field=hit.match.field, text=hit.match.text, ranges=ranges)
    return Hit(
        name=hit.name,
        description=hit.description,
        match=match,
        pulls=hit.pulls,
        pushed_at=time_or_none(hit.pushed_at or None),
        size=hit.size,
        tags=hit.tag_count,
        public=hit.public,
    )


OPERATIONS: Final = (
    Operation(
        id="search",
        noun="search",
        method="GET",
        path="/search",
        action=Action.BROWSE,
        summary="Search repositories",
        function=find,
        query=WhatToFind,
        answer=Hits,
    ),
)
