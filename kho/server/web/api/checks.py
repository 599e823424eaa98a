"""Checks of everything that is stored: `khod fsck` as a job."""

from typing import Annotated, Final

from msgspec import Meta

from kho.server.index import checks
from kho.server.index.checks import USUAL_AGE, Checked
from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web.api.operation import Call, Given, Nothing, Operation, Told
from kho.server.web.api.paging import Listing, Paged, key_of, listing
from kho.server.web.api.values import Time, number_of, time_of, time_or_none

_YEAR: Final = 366 * 86_400


class NewCheck(Given, frozen=True):
    """What to check, and how.

    `quick` looks at sizes and does not read the bytes of blobs; `repair` mends what can be mended
    without a loss; what nobody claims may be a push under way until it is `min_age` seconds old.
    """

    quick: bool = False
    repair: bool = False
    min_age: Annotated[float, Meta(ge=0, le=_YEAR, description="seconds, a year at most")] = (
        USUAL_AGE
    )


class Finding(Told, frozen=True):
    """Something that is wrong, and what is done about it; "" in `repair`: nothing can be."""

    kind: str
    where: str
    what: str
    repair: str
    repaired: bool


class Check(Told, frozen=True):
    """A check of everything that is stored.

    `state` is waiting, running, done, stopped or failed (its worker has gone). `found` counts what
    is wrong, `checked` what was looked at so far.
    """

    id: int
    state: str
    quick: bool
    repair: bool
    min_age: float
    asked_at: Time
    asked_by: str
    started_at: Time | None
    ended_at: Time | None
    found: int
    repaired: int
    checked: dict[str, int]


class CheckDetail(Check, frozen=True):
    """A check with the first 200 things that it has found to be wrong."""

    findings: list[Finding]


async def list_checks(resources: Resources, call: Call[Paged, None]) -> Listing[Check]:
    """The newest first; the last fifty are kept."""
    limit, before = call.query.limit, key_of(call.query.after, int)
    rows = await checks.newest(resources, before, limit + 1)
    return listing(rows, limit, _check, lambda row: row.id)


async def start_check(resources: Resources, call: Call[Nothing, NewCheck]) -> CheckDetail:
    """A worker begins within seconds; requests go first, so it takes twice as long as `khod fsck`.

    409 while another check is under way.
    """
    number = await checks.start(
        resources,
        call.caller,
        quick=call.body.quick,
        repair=call.body.repair,
        min_age=call.body.min_age,
    )
    return _detail(await checks.show(resources, number))


async def show_check(resources: Resources, call: Call[Nothing, None]) -> CheckDetail:
    """How far it is, and what it has found."""
    return _detail(await checks.show(resources, number_of(call.part("id"))))


async def stop_check(resources: Resources, call: Call[Nothing, None]) -> CheckDetail:
    """Its worker ends it within seconds; what it has found stays. 409 when it has ended."""
    number = number_of(call.part("id"))
    await checks.stop(resources, call.caller, number)
    return _detail(await checks.show(resources, number))


def _facts(row: Checked) -> dict[str, object]:
    return {
        "id": row.id,
        "state": row.state,
        "quick": row.quick,
        "repair": row.repair,
        "min_age": row.min_age,
        "asked_at": time_of(row.asked_at),
        "asked_by": row.asked_by,
        "started_at": time_or_none(row.started_at),
        "ended_at": time_or_none(row.ended_at),
        "found": row.found,
        "repaired": row.repaired,
        "checked": row.checked,
    }


def _check(row: Checked) -> Check:
    return Check(**_facts(row))  # type: ignore[arg-type]


def _detail(row: Checked) -> CheckDetail:
    findings = [
        Finding(
            kind=one.kind,
            where=one.where,
            what=one.what,
            repair=one.repair,
            repaired=one.repaired,
        )
        for one in row.findings
    ]
    return CheckDetail(findings=findings, **_facts(row))  # type: ignore[arg-type]


OPERATIONS: Final = (
    Operation(
        id="listChecks",
        noun="checks",
        method="GET",
        path="/checks",
        action=Action.ADMIN,
        summary="List checks of what is stored",
        function=list_checks,
        query=Paged,
        answer=Listing[Check],
    ),
    Operation(
        id="startCheck",
        noun="checks",
        method="POST",
        path="/checks",
        action=Action.ADMIN,
        summary="Have everything that is stored checked",
        function=start_check,
        body=NewCheck,
        answer=CheckDetail,
        status=202,
    ),
    Operation(
        id="showCheck",
        noun="checks",
        method="GET",
        path="/checks/{id}",
        action=Action.ADMIN,
        summary="Show how far a check is, and what it has found",
        function=show_check,
        answer=CheckDetail,
    ),
    Operation(
        id="stopCheck",
        noun="checks",
        method="POST",
        path="/checks/{id}/stop",
        action=Action.ADMIN,
        summary="Stop a check",
        function=stop_check,
        answer=CheckDetail,
    ),
)
