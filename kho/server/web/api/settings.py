"""What people set of a repository, and a repository deleted whole."""

from typing import Annotated, Final

from msgspec import Meta

from kho.oci.errors import NameUnknown
from kho.server.index.catalogue import settings
from kho.server.index.rights import repositories as rights
from kho.server.policy.access import Action, Principal
from kho.server.policy.sight import Kind, sight_of
from kho.server.registry import dissolution
from kho.server.registry.dissolution import Dissolved, Impact
from kho.server.resources import Resources
from kho.server.web.api.operation import Call, Given, Operation, Told
from kho.server.web.api.problems import Mistakes

# A README in JSON, where a character may take six.
README_BYTES: Final = 6 * settings.README


class RepositoryChange(Given, frozen=True):
    """What becomes different of a repository; what is not given stays."""

    public: bool | None = None
    description: (
        Annotated[str, Meta(max_length=settings.DESCRIPTION, description='a line; "" is none')]
        | None
    ) = None


class Readme(Given, frozen=True):
    """A page in Markdown."""

    text: Annotated[str, Meta(max_length=settings.README)]


class Right(Told, frozen=True):
    """Somebody may do something; `because` names the grant or whatever else gives it."""

    subject: str
    role: str
    actions: list[str]
    because: str


class Settings(Told, frozen=True):
    """Who may see a repository, and who may do what with it."""

    name: str
    public: bool
    rights: list[Right]


class Whole(Told, frozen=True):
    """What a repository holds, and how many bytes deleting it frees.

    `freed` is told to who may see all repositories, because others may hold the same blobs.
    """

    tags: int
    manifests: int
    size: int
    freed: int | None


async def show_settings(resources: Resources, call: Call[None, None]) -> Settings:
    """For those who may change them."""
    return await _settings(resources, call.name)


async def change_settings(resources: Resources, call: Call[None, RepositoryChange]) -> Settings:
    """A public one is pulled by anybody; it may be named before its first push."""
    to = call.body
    if to.public is None and to.description is None:
        raise Mistakes("the body is not right", ["public, description: give one at least"])
    if to.public is not None:
        try:
            await settings.set_public(resources, call.name, to.public, call.caller)
        except NameUnknown:
            await rights.set_public(resources, call.name, to.public, by=call.by)
    if to.description is not None:
        await settings.describe(resources, call.name, to.description, call.caller)
    return await _settings(resources, call.name)


async def write_readme(resources: Resources, call: Call[None, Readme]) -> None:
    """In place of what the newest image says of itself."""
    await settings.write_readme(resources, call.name, call.body.text, call.caller)


async def remove_readme(resources: Resources, call: Call[None, None]) -> None:
    """What the newest image says of itself is shown again."""
    if not await settings.remove_readme(resources, call.name, call.caller):
        raise NameUnknown("the repository has no README of its own")


async def show_whole(resources: Resources, call: Call[None, None]) -> Whole:
    """Nothing is deleted: it tells what would go."""
    found = await dissolution.impact(resources, call.name)
    return _whole(call.caller.principal, found)


async def delete_repository(resources: Resources, call: Call[None, None]) -> Whole:
    """With all that it holds. Bytes are free when garbage collection has run."""
    found = await dissolution.dissolve(resources, call.name, call.caller)
    return _whole(call.caller.principal, found)


def _whole(principal: Principal, found: Impact | Dissolved) -> Whole:
    sees_all = sight_of(principal).kind is Kind.EVERYTHING
    return Whole(
        tags=found.tags,
        manifests=found.manifests,
        size=found.size,
        freed=found.freed if sees_all else None,
    )


async def _settings(resources: Resources, name: str) -> Settings:
    known = await rights.show(resources, name)
    return Settings(
        name=known.repository.name,
        public=known.repository.public,
        rights=[
            Right(
                subject=one.subject,
                role=one.role,
                actions=one.actions,
                because=one.because,
            )
            for one in known.rights
        ],
    )


OPERATIONS: Final = (
    Operation(
        id="showSettings",
        noun="repositories",
        method="GET",
        path="/repositories/{name}/-/settings",
        action=Action.SETTINGS,
        summary="Show who may do what with a repository",
        function=show_settings,
        answer=Settings,
    ),
    Operation(
        id="changeSettings",
        noun="repositories",
        method="PATCH",
        path="/repositories/{name}/-/settings",
        action=Action.SETTINGS,
        summary="Open a repository to all, or close it",
        function=change_settings,
        body=RepositoryChange,
        answer=Settings,
    ),
    Operation(
        id="writeReadme",
        noun="repositories",
        method="PUT",
        path="/repositories/{name}/-/readme",
        action=Action.SETTINGS,
        summary="Write the README of a repository",
        function=write_readme,
        body=Readme,
        most_bytes=README_BYTES,
    ),
    Operation(
        id="removeReadme",
        noun="repositories",
        method="DELETE",
        path="/repositories/{name}/-/readme",
        action=Action.SETTINGS,
        summary="Take the README away",
        function=remove_readme,
    ),
    Operation(
        id="showWhole",
        noun="repositories",
        method="GET",
        path="/repositories/{name}/-/whole",
        action=Action.DELETE,
        summary="Say what deleting a repository would do",
        function=show_whole,
        answer=Whole,
    ),
    Operation(
        id="deleteRepository",
        noun="repositories",
        method="DELETE",
        path="/repositories/{name}",
        action=Action.DELETE,
        summary="Delete a repository",
        function=delete_repository,
        answer=Whole,
    ),
)
