"""The trail of who did what: `khod audit`."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, field

from kho.server.index import trail
from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web.api.operation import Call, Operation, Told
from kho.server.web.api.paging import Listing, Paged, cursor, key_of
from kho.server.web.api.values import Time, time_of

When = Annotated[
    str, Meta(max_length=64, description="90m, 1d, a date such as 2026-11-01, or ISO 8601")
]


class WhichEvents(Paged, frozen=True):
    """Which events; all that is given must hold. In text `*` stands for any characters."""

    since: When = ""
    until: When = ""
    actor: Annotated[str, Meta(max_length=256, description="user:alice, robot:*")] = ""
    action: Annotated[
        list[Annotated[str, Meta(max_length=64)]],
        Meta(max_length=16, description="login, user.*; one of several must match"),
    ] = field(default_factory=list)
    repository: Annotated[str, Meta(max_length=255, description="team/app, team/**")] = ""
    outcome: Literal["", "allowed", "denied", "failed"] = ""


class AuditEntry(Told, frozen=True):
    """Something that was done or tried; `count` of alike ones at once."""

    id: int
    at: Time
    action: str
    outcome: str
    actor: str
    repository: str | None
    target: str | None
    address: str | None
    request_id: str | None
    count: int
    details: dict[str, Any] | None


async def list_events(resources: Resources, call: Call[WhichEvents, None]) -> Listing[AuditEntry]:
    """The newest first. A page may be short of entries, or empty, and not be the last."""
    query = call.query
    these = await trail.wanted(
        resources,
        since=query.since,
        until=query.until,
        actor=query.actor,
        actions=tuple(query.action),
        repository=query.repository,
        outcome=query.outcome,
    )
    before = key_of(query.after, int)
    rows, following = await trail.page(resources, these, before, query.limit)
    return Listing([_told(row) for row in rows], None if following is None else cursor(following))


def _told(row: trail.Entry) -> AuditEntry:
    details = None if row.details is None else msgspec.json.decode(row.details)
    return AuditEntry(
        id=row.id,
        at=time_of(row.at),
        action=row.action,
        outcome=row.outcome,
        actor=row.actor,
        repository=row.repository,
        target=row.target,
        address=row.address,
        request_id=row.request_id,
        count=row.count,
        details=details,
    )


OPERATIONS: Final = (
    Operation(
        id="listEvents",
        noun="audit",
        method="GET",
        path="/audit",
        action=Action.ADMIN,
        summary="Read the trail of who did what",
        function=list_events,
        query=WhichEvents,
        answer=Listing[AuditEntry],
    ),
)
