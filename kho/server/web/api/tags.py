"""Tags of a repository, its manifests by digest, and the history of its tags."""

from typing import Annotated, Any, Final

from msgspec import Meta

from kho.server.index.catalogue import history, tags, versions
from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web.api.mirror import listing_of, mirror, page, told
from kho.server.web.api.operation import Call, Operation
from kho.server.web.api.paging import Listing, Paged

Tag: Final = mirror(tags.Tag)
Version: Final = mirror(versions.Version)
Move: Final = mirror(history.Move)


class WhichTags(Paged, frozen=True):
    """Which tags, and in which order; `1.9` comes before `1.10`."""

    text: Annotated[
        str, Meta(max_length=128, description="part of a tag, in any case; with * or ? a glob")
    ] = ""
    order: tags.Order = "name"
    descending: bool = False


class WhichVersions(Paged, frozen=True):
    """Which manifests."""

    tagged: versions.Tagged = "all"
    kind: versions.Kind | None = None


class WhichMoves(Paged, frozen=True):
    """Moves of which tag, also of one that is gone; of all without one."""

    tag: Annotated[str, Meta(max_length=128)] = ""


async def list_tags(resources: Resources, call: Call[WhichTags, None]) -> Listing[Any]:
    """With what they point at, and who pushed it."""
    query = call.query
    wanted = tags.TagQuery(
        text=query.text,
        order=query.order,
        descending=query.descending,
        cursor=query.after or None,
        limit=query.limit,
    )
    found = await tags.page(resources, call.name, wanted)
    return page(found.tags, Tag, found.next)


async def list_versions(resources: Resources, call: Call[WhichVersions, None]) -> Listing[Any]:
    """By digest, the newest first, also those without a tag; parts stand under their whole.

    A page may be short, even empty, and not the last.
    """
    query = call.query
    wanted = versions.VersionQuery(query.tagged, query.kind, query.after or None, query.limit)
    found = await versions.page(resources, call.name, wanted)
    return page(found.versions, Version, found.next)


async def show_version(resources: Resources, call: Call[None, None]) -> Any:  # noqa: ANN401
    """With its parts and what is attached to it."""
    return told(await versions.one(resources, call.name, str(call.digest)), Version)


async def list_moves(resources: Resources, call: Call[WhichMoves, None]) -> Listing[Any]:
    """From, to, by whom, when; the newest first."""
    query = call.query
    found = await history.page(
        resources,
        call.name,
        tag=query.tag or None,
        cursor=query.after or None,
        limit=query.limit,
    )
    return page(found.moves, Move, found.next)


OPERATIONS: Final = (
    Operation(
        id="listTags",
        noun="tags",
        method="GET",
        path="/repositories/{name}/-/tags",
        action=Action.PULL,
        summary="List the tags of a repository",
        function=list_tags,
        query=WhichTags,
        answer=listing_of(Tag),
    ),
    Operation(
        id="listVersions",
        noun="tags",
        method="GET",
        path="/repositories/{name}/-/versions",
        action=Action.PULL,
        summary="List the manifests of a repository",
        function=list_versions,
        query=WhichVersions,
        answer=listing_of(Version),
    ),
    Operation(
        id="showVersion",
        noun="tags",
        method="GET",
        path="/repositories/{name}/-/versions/{digest}",
        action=Action.PULL,
        summary="Show a manifest",
        function=show_version,
        answer=Version,
    ),
    Operation(
        id="listMoves",
        noun="tags",
        method="GET",
        path="/repositories/{name}/-/history",
        action=Action.PULL,
        summary="List the moves of tags",
        function=list_moves,
        query=WhichMoves,
        answer=listing_of(Move),
    ),
)
