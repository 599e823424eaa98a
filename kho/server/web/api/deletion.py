"""Tags and manifests deleted, with what that would do; and tags that point back."""

from typing import Annotated, Any, Final

from msgspec import Meta, field

from kho.oci.digest import parse_digest
from kho.oci.errors import ManifestUnknown, PreconditionFailed
from kho.server.policy.access import Action
from kho.server.registry import deletion, rollback
from kho.server.registry.deletion import Doomed, Outcome
from kho.server.resources import Resources
from kho.server.web.api.mirror import listing_of, mirror, page, told
from kho.server.web.api.operation import Call, Given, Operation
from kho.server.web.api.paging import Listing

Impact: Final = mirror(deletion.Impact)
Result: Final = mirror(deletion.Outcome, "DeletionResult")
Restored: Final = mirror(rollback.Restored)

Digest = Annotated[str, Meta(max_length=160, description="a digest: sha256:...")]
Tag = Annotated[str, Meta(min_length=1, max_length=128)]


class DoomedTag(Given, frozen=True):
    """A tag to delete; only while it points at `digest`, where that is given."""

    tag: Tag
    digest: Digest | None = None


class Targets(Given, frozen=True):
    """What to delete: tags, whose manifests stay, and manifests with all their tags."""

    tags: Annotated[list[DoomedTag], Meta(max_length=deletion.MOST)] = field(default_factory=list)
    digests: Annotated[list[Digest], Meta(max_length=deletion.MOST)] = field(default_factory=list)


class OnlyWhile(Given, frozen=True):
    """Only while the tag points there; "" asks nothing."""

    digest: Digest = ""


class Target(Given, frozen=True):
    """Where the tag should point: a digest of its history, whose manifest is still there.

    `only_from` is where it must point now, "" means that it must be gone; null asks nothing.
    """

    digest: Digest
    only_from: Digest | None = None


async def show_impact(resources: Resources, call: Call[None, Targets]) -> Any:  # noqa: ANN401
    """Nothing is deleted: it tells what else points there, and how many bytes would be free."""
    targets = call.body
    digests = [parse_digest(one) for one in targets.digests]
    tags = [one.tag for one in targets.tags]
    found = await deletion.impact(
        resources, call.name, tags, digests, principal=call.caller.principal
    )
    return told(found, Impact)


async def delete(resources: Resources, call: Call[None, Targets]) -> Listing[Any]:
    """All in one transaction; each has its result: deleted, unknown, or moved (and kept)."""
    targets = call.body
    digests = [parse_digest(one) for one in targets.digests]
    doomed = [Doomed(one.tag, one.digest) for one in targets.tags]
    found = await deletion.delete(resources, call.name, doomed, digests, call.caller)
    return page(found, Result, None)


async def delete_tag(resources: Resources, call: Call[OnlyWhile, None]) -> None:
    """The manifest stays, and can be found by its digest."""
    doomed = Doomed(call.part("tag"), call.query.digest or None)
    (outcome,) = await deletion.delete(resources, call.name, [doomed], [], call.caller)
    _check(outcome)


async def delete_version(resources: Resources, call: Call[None, None]) -> None:
    """With all tags that point at it."""
    (outcome,) = await deletion.delete(resources, call.name, [], [call.digest], call.caller)
    _check(outcome)


async def point_tag(resources: Resources, call: Call[None, Target]) -> Any:  # noqa: ANN401
    """Rights are those of a push: tag, or overwrite where the tag is there."""
    found = await rollback.roll_back(
        resources,
        call.name,
        call.part("tag"),
        parse_digest(call.body.digest),
        call.caller,
        call.body.only_from,
    )
    return told(found, Restored)


def _check(outcome: Outcome) -> None:
    if outcome.result == "unknown":
        raise ManifestUnknown("there is no such tag or manifest", detail=outcome.target)
    if outcome.result == "moved":
        raise PreconditionFailed("the tag points elsewhere by now, and was kept")


OPERATIONS: Final = (
    Operation(
        id="showDeletionImpact",
        noun="deletion",
        method="POST",
        path="/repositories/{name}/-/deletion-impacts",
        action=Action.DELETE,
        summary="Say what a deletion would do",
        function=show_impact,
        body=Targets,
        answer=Impact,
    ),
    Operation(
        id="deleteMany",
        noun="deletion",
        method="POST",
        path="/repositories/{name}/-/deletions",
        action=Action.DELETE,
        summary="Delete tags and manifests",
        function=delete,
        body=Targets,
        answer=listing_of(Result),
    ),
    Operation(
        id="deleteTag",
        noun="deletion",
        method="DELETE",
        path="/repositories/{name}/-/tags/{tag}",
        action=Action.DELETE,
        summary="Delete a tag",
        function=delete_tag,
        query=OnlyWhile,
    ),
    Operation(
        id="deleteVersion",
        noun="deletion",
        method="DELETE",
        path="/repositories/{name}/-/versions/{digest}",
        action=Action.DELETE,
        summary="Delete a manifest with its tags",
        function=delete_version,
    ),
    Operation(
        id="pointTag",
        noun="deletion",
        method="PUT",
        path="/repositories/{name}/-/tags/{tag}",
        action=Action.PUSH,
        summary="Point a tag where it pointed before",
        function=point_tag,
        body=Target,
        answer=Restored,
    ),
)
