"""The first page: the repositories, or how to push the first one."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final, NamedTuple

import msgspec

from kho.server.index.browser import setup
from kho.server.index.catalogue import glimpses, repositories, storage
from kho.server.index.catalogue.commands import Address
from kho.server.index.catalogue.glimpses import NOTHING, Glimpse
from kho.server.index.catalogue.repositories import Order, Repository, RepositoryQuery
from kho.server.resources import Resources
from kho.server.web import visits
from kho.server.web.request import Request, Response
from kho.server.web.ui import choices, preferences, render
from kho.server.web.ui.choices import Choices
from kho.server.web.ui.repositories import first_push

ROWS: Final = 50
NAMESPACES: Final = 100  # to choose from
KEYS: Final = (
    *("q", "namespace", "visibility", "kind", "platform", "days"),
    *("sort", "order", "view"),
)
_FILTERS: Final = KEYS[:6]
_ORDERS: Final[tuple[Order, ...]] = ("name", "pushed", "pulls", "size")
# What one wants to see first: the newest, the largest, the most pulled.
_DESCENDING: Final = frozenset({"pushed", "size", "pulls"})


class Row(NamedTuple):
    """A repository as it is listed."""

    repository: Repository
    glimpse: Glimpse


class Group(NamedTuple):
    """Repositories of one namespace; "" are those of none."""

    namespace: str
    rows: list[Row]


class Asked(NamedTuple):
    """What the address asks for."""

    query: RepositoryQuery
    choices: Choices
    filtered: bool
    grouped: bool


def _asked(request: Request) -> Asked:
    chosen = choices.read(request)
    order: Order = next((one for one in _ORDERS if one == request.query("sort")), "name")
    usual = order in _DESCENDING
    query = RepositoryQuery(
        text=choices.text(request, "q"),
        namespace=choices.text(request, "namespace").strip("/"),
        public=chosen.public,
        kind=chosen.kind,
        platform=chosen.platform,
        pushed_days=chosen.days or None,
        order=order,
        descending={"up": False, "down": True}.get(request.query("order") or "", usual),
        cursor=request.query("cursor") or None,
        limit=ROWS,
    )
    filtered = any(request.query(key) for key in _FILTERS)
    return Asked(query, chosen, filtered, order == "name" and request.query("view") == "grouped")


async def page(resources: Resources, request: Request) -> Response:
    """What the viewer may pull."""
    asked = _asked(request)
    principal, query = request.caller.principal, asked.query
    found = await repositories.page(resources, principal, query)
    if not (found.repositories or query.cursor or asked.filtered):
        return await _empty(resources, request)
    rows = await _rows(resources, found.repositories)
    spaces = await storage.namespaces(resources, principal, order="repositories", limit=NAMESPACES)
    return await render.page(
        resources,
        request,
        "home.html",
        first_run=await setup.is_needed(resources),
        asked=query,
        choices=asked.choices,
        filtered=asked.filtered,
        groups=_groups(rows, query.namespace) if asked.grouped else [Group("", rows)],
        grouped=asked.grouped,
        total=found.total,
        namespaces=[one for one in spaces.namespaces if one.name],
        sorters={one: _sorter(request, one, query) for one in _ORDERS},
        crumbs=_crumbs(query.namespace),
        # The other way to look at them.
        turned=choices.with_query(
            request, KEYS, view="" if asked.grouped else "grouped", sort="", order=""
        ),
        following=choices.with_query(request, KEYS, cursor=found.next) if found.next else "",
        first=choices.with_query(request, KEYS) if query.cursor else "",
    )


async def _rows(resources: Resources, found: Sequence[Repository]) -> list[Row]:
    seen = await glimpses.of(resources, (one.name for one in found))
    return [_row(one, seen.get(one.name, NOTHING)) for one in found]


def _row(one: Repository, glimpse: Glimpse) -> Row:
    if not one.description and glimpse.description:
        one = msgspec.structs.replace(one, description=glimpse.description)
    return Row(one, glimpse)


def _groups(rows: list[Row], within: str) -> list[Group]:
    """By the next component after the namespace that is looked at."""
    level = len(within.split("/")) + 1 if within else 1

    def space(row: Row) -> str:
        parts = row.repository.name.split("/")
        return "/".join(parts[:level]) if len(parts) > level else ""

    return [Group(name, list(some)) for name, some in groupby(rows, space)]


def _crumbs(namespace: str) -> list[tuple[str, str]]:
    if not namespace:
        return []
    parts = namespace.split("/")
    above = [
        (part, choices.address("/", namespace="/".join(parts[: number + 1])))
        for number, part in enumerate(parts[:-1])
    ]
    return [*above, (parts[-1], "")]


def _sorter(request: Request, one: Order, query: RepositoryQuery) -> tuple[str, str]:
    """Where a click on the head leads, and how it is sorted now."""
    if one != query.order:
        view = (request.query("view") or "") if one == "name" else ""
        return choices.with_query(request, KEYS, sort=one, order="", view=view), ""
    turned = "up" if query.descending else "down"
    direction = "descending" if query.descending else "ascending"
    return choices.with_query(request, KEYS, sort=one, order=turned), direction


async def _empty(resources: Resources, request: Request) -> Response:
    here = await visits.visit(resources, request)
    runtime = preferences.of(request, here.base).runtime
    principal = request.caller.principal
    target = first_push.target_of(principal)
    address = Address(here.host, tls=here.secure)
    return await render.page(
        resources,
        request,
        "empty.html",
        known=here,
        first_run=await setup.is_needed(resources),
        stranger=principal.anonymous and not principal.open,
        steps=first_push.steps(
            runtime, address, target or "library/alpine:latest", sign_in=not principal.open
        ),
        pushing=first_push.PUSHING,
        tool=runtime if runtime in first_push.PUSHING else first_push.PUSHING[0],
        may_push=bool(target),
        insecure=not here.secure and not address.loopback,
    )
