"""What the index knows, found out again: `khod index`."""

from typing import Annotated, Final

from msgspec import Meta

from kho.oci.errors import NameUnknown
from kho.server.index import counts
from kho.server.policy.access import Action
from kho.server.registry import filling
from kho.server.resources import Resources
from kho.server.web.api.operation import Call, Given, Nothing, Operation, Told
from kho.server.web.api.values import repository_of


class Rebuild(Given, frozen=True):
    """Of what: a repository; null stands for all."""

    repository: Annotated[str, Meta(min_length=1, max_length=255)] | None = None


class Rebuilding(Told, frozen=True):
    """How many repositories will be looked at anew."""

    repositories: int


class Indexing(Told, frozen=True):
    """What the index has still to find out, and what became of the layers that it looked into."""

    repositories_waiting: int
    layers_waiting: int
    layers_running: int
    layers_done: int
    layers_refused: int


async def show_indexing(resources: Resources, call: Call[Nothing, None]) -> Indexing:  # noqa: ARG001
    """Repositories wait after an update and after a rebuild; layers after a push."""
    return Indexing(**(await counts.indexing(resources))._asdict())


async def rebuild(resources: Resources, call: Call[Nothing, Rebuild]) -> Rebuilding:
    """Sizes, images, labels, words of the search come from what is stored; pulls stay counted."""
    name = call.body.repository
    if name is not None:
        name = repository_of(name, "repository")
    caller = call.caller
    found = await filling.rebuild(
        resources,
        name,
        by=caller.name,
        address=caller.address,
        request_id=caller.request_id,
    )
    if name is not None and not found:
        raise NameUnknown("no such repository", detail={"name": name})
    return Rebuilding(repositories=found)


OPERATIONS: Final = (
    Operation(
        id="showIndexing",
        noun="index",
        method="GET",
        path="/index",
        action=Action.ADMIN,
        summary="Say what the index has still to find out",
        function=show_indexing,
        answer=Indexing,
    ),
    Operation(
        id="rebuildIndex",
        noun="index",
        method="POST",
        path="/index-rebuilds",
        action=Action.ADMIN,
        summary="Have all that the index knows found out again",
        function=rebuild,
        body=Rebuild,
        answer=Rebuilding,
        status=202,
    ),
)
