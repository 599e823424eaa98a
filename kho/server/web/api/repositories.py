"""Repositories that the caller may see, and what their settings say: `khod repos`."""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from kho.server.index.catalogue import activity, repositories, storage, traffic
from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web.api.mirror import listing_of, mirror, page, told
from kho.server.web.api.operation import Call, Given, Operation
from kho.server.web.api.paging import Listing, Paged

Repository: Final = mirror(repositories.Repository)
Overview: Final = mirror(repositories.Overview)
Happening: Final = mirror(activity.Happening)
Namespace: Final = mirror(storage.Namespace)
Storage: Final = mirror(storage.Storage)
Series: Final = mirror(traffic.Series)

Text = Annotated[str, Meta(max_length=255)]
Days = Annotated[int, Meta(ge=1, le=traffic.MOST_DAYS)]


class WhichRepositories(Paged, frozen=True):
    """Which repositories, and in which order."""

    text: Annotated[str, Meta(max_length=255, description="part of a name, in any case")] = ""
    namespace: Annotated[str, Meta(max_length=255, description="team, or team/sub")] = ""
    public: bool | None = None
    kind: Literal["", "image", "index", "artifact"] = ""
    platform: Annotated[str, Meta(max_length=255, description="os/architecture[/variant]")] = ""
    pushed_days: (
        Annotated[
            int, Meta(ge=1, le=repositories.MOST_DAYS, description="pushed to in so many days")
        ]
        | None
    ) = None
    order: repositories.Order = "name"
    descending: bool = False


class WhichNamespaces(Paged, frozen=True):
    """In which order."""

    order: storage.Order = "name"


class WhichStorage(Given, frozen=True):
    """Of which namespace; of all without one."""

    namespace: Text = ""


class WhichEvents(Paged, frozen=True):
    """Which events."""

    which: activity.Which = "all"


class WhichDays(Given, frozen=True):
    """Of how many days to today; of one tag, or of the repository."""

    days: Days = 30
    tag: Annotated[str, Meta(max_length=128)] = ""


async def list_repositories(
    resources: Resources, call: Call[WhichRepositories, None]
) -> Listing[Any]:
    """Those that the caller may pull."""
    query = call.query
    found = await repositories.page(
        resources,
        call.caller.principal,
        repositories.RepositoryQuery(
            text=query.text,
            namespace=query.namespace,
            public=query.public,
            kind=query.kind,
            platform=query.platform,
            pushed_days=query.pushed_days,
            order=query.order,
            descending=query.descending,
            cursor=query.after or None,
            limit=query.limit,
        ),
    )
    return page(found.repositories, Repository, found.next)


async def show_repository(resources: Resources, call: Call[None, None]) -> Any:  # noqa: ANN401
    """With its README, and what the caller may do with it."""
    found = await repositories.overview(resources, call.caller.principal, call.name)
    return told(found, Overview)


async def list_activity(resources: Resources, call: Call[WhichEvents, None]) -> Listing[Any]:
    """Pushes, deletions and refusals, the newest first. A page may be short and not the last."""
    query = call.query
    found = await activity.page(
        resources,
        call.caller.principal,
        call.name,
        which=query.which,
        cursor=query.after or None,
        limit=query.limit,
    )
    return page(found.events, Happening, found.next)


async def show_traffic(resources: Resources, call: Call[WhichDays, None]) -> Any:  # noqa: ANN401
    """Every day of UTC to today, the oldest first."""
    query = call.query
    found = await traffic.series(resources, call.name, tag=query.tag, days=query.days)
    return told(found, Series)


async def list_namespaces(resources: Resources, call: Call[WhichNamespaces, None]) -> Listing[Any]:
    """What stands before the first slash of names, with sums of what the caller may pull."""
    query = call.query
    found = await storage.namespaces(
        resources,
        call.caller.principal,
        order=query.order,
        cursor=query.after or None,
        limit=query.limit,
    )
    return page(found.namespaces, Namespace, found.next)


async def show_storage(resources: Resources, call: Call[WhichStorage, None]) -> Any:  # noqa: ANN401
    """Of what the caller may pull; sums may be a minute old."""
    principal, namespace = call.caller.principal, call.query.namespace
    return told(await storage.storage(resources, principal, namespace=namespace), Storage)


OPERATIONS: Final = (
    Operation(
        id="listRepositories",
        noun="repositories",
        method="GET",
        path="/repositories",
        action=Action.BROWSE,
        summary="List repositories",
        function=list_repositories,
        query=WhichRepositories,
        answer=listing_of(Repository),
    ),
    Operation(
        id="showRepository",
        noun="repositories",
        method="GET",
        path="/repositories/{name}",
        action=Action.PULL,
        summary="Show a repository",
        function=show_repository,
        answer=Overview,
    ),
    Operation(
        id="listActivity",
        noun="repositories",
        method="GET",
        path="/repositories/{name}/-/activity",
        action=Action.SETTINGS,
        summary="List what happened in a repository",
        function=list_activity,
        query=WhichEvents,
        answer=listing_of(Happening),
    ),
    Operation(
        id="showTraffic",
        noun="repositories",
        method="GET",
        path="/repositories/{name}/-/traffic",
        action=Action.PULL,
        summary="Show pulls, pushes and sizes day by day",
        function=show_traffic,
        query=WhichDays,
        answer=Series,
    ),
    Operation(
        id="listNamespaces",
        noun="repositories",
        method="GET",
        path="/namespaces",
        action=Action.BROWSE,
        summary="List namespaces with sums",
        function=list_namespaces,
        query=WhichNamespaces,
        answer=listing_of(Namespace),
    ),
    Operation(
        id="showStorage",
        noun="repositories",
        method="GET",
        path="/storage",
        action=Action.BROWSE,
        summary="Say who takes how much room, and what sharing of blobs saves",
        function=show_storage,
        query=WhichStorage,
        answer=Storage,
    ),
)
