"""Who the caller is, as the registry sees it."""

from typing import Final

from kho.server.index.rights import access
from kho.server.policy.access import Action, allowed
from kho.server.resources import Resources
from kho.server.web.api.operation import Call, Operation, Told


class Whoami(Told, frozen=True):
    """The caller. `actions` are those that need no repository; `open`: everybody may do all."""

    name: str
    anonymous: bool
    open: bool
    admin: bool
    actions: list[str]
    roles: list["Held"]


class Held(Told, frozen=True):
    """A role that the caller has on the repositories of a glob, by `subject`."""

    subject: str
    role: str
    pattern: str
    actions: list[str]


async def whoami(resources: Resources, call: Call[None, None]) -> Whoami:
    """Anonymous callers are told what is public to all; tokens that are limited not of what."""
    principal = call.caller.principal
    everywhere = (Action.BROWSE, Action.ACCOUNT, Action.METRICS, Action.ADMIN)
    return Whoami(
        name=principal.name,
        anonymous=principal.anonymous,
        open=await access.is_open(resources),
        admin=allowed(principal, Action.ADMIN, None),
        actions=[str(action) for action in everywhere if allowed(principal, action, None)],
        roles=[
            Held(
                subject=grant.subject,
                role=grant.role,
                pattern=grant.pattern,
                actions=sorted(map(str, grant.actions)),
            )
            for grant in principal.grants
            if not principal.ceilings  # its owner's rights name what the token may not see
        ],
    )


OPERATIONS: Final = (
    Operation(
        id="whoami",
        noun="about",
        method="GET",
        path="/whoami",
        action=Action.BROWSE,
        summary="Who the caller is, and what it may do",
        function=whoami,
        answer=Whoami,
    ),
)
