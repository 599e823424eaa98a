"""Who has which role on the repositories of which glob, and why: `khod grants`, `khod access`."""

from typing import Annotated, Final, Literal

from msgspec import Meta

from kho.server.index.rights import explain as explaining
from kho.server.index.rights import grants
from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web.api.operation import Call, Given, Operation, Told
from kho.server.web.api.paging import Listing, Paged, key_of, listing
from kho.server.web.api.values import (
    Name,
    Pattern,
    Subject,
    Time,
    number_of,
    repository_of,
    time_of,
)

OneAction = Literal["pull", "push", "create", "tag", "overwrite", "delete", "settings"]
Repository = Annotated[str, Meta(max_length=255, description="a repository: team/app")]


class WhichGrants(Paged, frozen=True):
    """Which grants."""

    subject: Subject = ""
    repository: Repository = ""


class NewGrant(Given, frozen=True):
    """A role to be given on the repositories of a glob."""

    subject: Subject
    role: Name
    pattern: Pattern


class Grant(Told, frozen=True):
    """A role on the repositories of a glob, and who gave it."""

    id: int
    subject: str
    role: str
    pattern: str
    created_by: str
    created_at: Time


class Asked(Given, frozen=True):
    """Who wants to do what where."""

    subject: Annotated[str, Meta(max_length=140, description="user:NAME, robot:NAME or anonymous")]
    action: OneAction
    repository: Repository


class Rule(Told, frozen=True):
    """The grant that decided."""

    subject: str
    role: str
    pattern: str
    actions: list[str]


class Explanation(Told, frozen=True):
    """What the registry would decide now; `why` says it in a sentence."""

    allowed: bool
    subject: str
    action: str
    repository: str
    rule: Rule | None
    why: str


async def list_grants(resources: Resources, call: Call[WhichGrants, None]) -> Listing[Grant]:
    """The oldest first; of a subject itself, or those whose glob matches a repository."""
    query = call.query
    if query.repository:
        repository_of(query.repository, "repository")
    rows = await grants.page(
        resources,
        key_of(query.after, int) or 0,
        query.limit + 1,
        subject=query.subject,
        repository=query.repository,
    )
    return listing(rows, query.limit, _told, lambda row: row.id)


async def add_grant(resources: Resources, call: Call[None, NewGrant]) -> Grant:
    """It counts within a second, for tokens and sessions that are there, too."""
    new = call.body
    await grants.add(resources, new.subject, new.role, new.pattern, by=call.by)
    rows = await grants.every(resources, new.subject)
    return _told(next(row for row in rows if (row.role, row.pattern) == (new.role, new.pattern)))


async def remove_grant(resources: Resources, call: Call[None, None]) -> None:
    """It counts no more within a second."""
    await grants.remove_id(resources, number_of(call.part("id")), by=call.by)


async def explain(resources: Resources, call: Call[Asked, None]) -> Explanation:
    """Whether somebody may do something, and which rule decides."""
    query = call.query
    name = repository_of(query.repository, "repository")
    found = await explaining.explain(resources, query.subject, query.action, name)
    rule = found.rule and Rule(
        subject=found.rule.subject,
        role=found.rule.role,
        pattern=found.rule.pattern,
        actions=sorted(found.rule.actions),
    )
    return Explanation(
        allowed=found.allowed,
        subject=found.subject,
        action=found.action,
        repository=found.repository,
        rule=rule,
        why=found.why,
    )


def _told(row: grants.Given) -> Grant:
    return Grant(
        id=row.id,
        subject=row.subject,
        role=row.role,
        pattern=row.pattern,
        created_by=row.created_by,
        created_at=time_of(row.created_at),
    )


OPERATIONS: Final = (
    Operation(
        id="listGrants",
        noun="grants",
        method="GET",
        path="/grants",
        action=Action.ADMIN,
        summary="List the grants",
        function=list_grants,
        query=WhichGrants,
        answer=Listing[Grant],
    ),
    Operation(
        id="addGrant",
        noun="grants",
        method="POST",
        path="/grants",
        action=Action.ADMIN,
        summary="Give a role",
        function=add_grant,
        body=NewGrant,
        answer=Grant,
        status=201,
    ),
    Operation(
        id="removeGrant",
        noun="grants",
        method="DELETE",
        path="/grants/{id}",
        action=Action.ADMIN,
        summary="Take a role back",
        function=remove_grant,
    ),
    Operation(
        id="explainAccess",
        noun="grants",
        method="GET",
        path="/access",
        action=Action.ADMIN,
        summary="Say which rule decides over a request",
        function=explain,
        query=Asked,
        answer=Explanation,
    ),
)
