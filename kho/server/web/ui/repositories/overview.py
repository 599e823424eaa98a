"""The page of a repository: what it is, how to get it, how much it is used."""

from functools import lru_cache
from typing import Final

from markupsafe import Markup

from kho.server.index.catalogue import commands, repositories, tags, traffic
from kho.server.index.catalogue.commands import Address, Command
from kho.server.index.catalogue.repositories import Overview
from kho.server.index.catalogue.tags import Tag, TagQuery
from kho.server.resources import Resources
from kho.server.web import visits
from kho.server.web.request import Request, Response
from kho.server.web.ui import markdown, render
from kho.server.web.ui.repositories import repository

NEWEST: Final = 6
DAYS: Final = (30, 90)
# Of a README, characters; the rest is a click away.
LONG: Final = 40_000


async def page(resources: Resources, request: Request) -> Response:
    """Raises NameUnknown."""
    name = request.values.name
    told = await repositories.overview(resources, request.caller.principal, name)
    newest = await tags.page(resources, name, TagQuery("", "pushed", descending=True, limit=NEWEST))
    days = next((one for one in DAYS if str(one) == request.query("days")), DAYS[0])
    used = await traffic.series(resources, name, days=days)
    here = await visits.visit(resources, request)
    main = _main(newest.tags)
    offered = _commands(Address(here.host, tls=here.secure), name, main, told)
    whole = request.query("readme") == "whole"
    readme = told.readme if whole else _beginning(told.readme)
    return await render.page(
        resources,
        request,
        "overview.html",
        known=here,
        shared=repository.frame(request, "overview"),
        repository=told.repository,
        told=told,
        readme=_rendered(readme),
        longer=len(readme) < len(told.readme),
        tags=newest.tags,
        main=main,
        commands=offered,
        used=used,
        days=days,
        choices=DAYS,
        links=_links(told),
    )


def _beginning(text: str) -> str:
    """The text, or its first lines where it is long."""
    return text if len(text) <= LONG else text[:LONG].rpartition("\n")[0] or text[:LONG]


@lru_cache(maxsize=16)
def _rendered(text: str) -> Markup:
    return markdown.rendered(text)


def _main(newest: tuple[Tag, ...]) -> Tag | None:
    """The tag that one would pull."""
    latest = (tag for tag in newest if tag.name == "latest")
    return next(latest, newest[0] if newest else None)


def _commands(address: Address, name: str, main: Tag | None, told: Overview) -> tuple[Command, ...]:
    if main is None:
        if told.newest is None:
            return ()
        return commands.commands(address, name, None, told.newest)
    return commands.commands(
        *(address, name, main.name, main.digest),
        kind=main.kind,
        artifact_type=main.artifact_type,
    )


def _links(told: Overview) -> dict[str, str]:
    """What can be followed: an image may say anything of itself."""
    return {
        key: value
        for key, value in told.links.items()
        if key != "licenses" and value.startswith(("https://", "http://"))
    }
