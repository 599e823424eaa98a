"""Repositories as they are listed: in every order, page by page, for everyone what they may see."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import Integer, Text, bindparam, insert

from kho.oci.errors import Denied, InvalidRequest, NameUnknown
from kho.server.database import catalogue as rows
from kho.server.database.engine import Transaction
from kho.server.database.schema import repositories as table
from kho.server.database.statement import Statement
from kho.server.index.catalogue import repositories, settings, storage, traffic
from kho.server.index.catalogue.repositories import Order, RepositoryQuery
from kho.server.policy.access import (
    ANYONE,
    NOBODY,
    ROLES,
    Action,
    Allowance,
    Caller,
    Grant,
    Principal,
    allowed,
    within_ceilings,
)
from kho.server.policy.patterns import sort_key
from kho.server.resources import Resources
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.oci.samples import encode, image

MANY = rows.FEW + 400
_NUMBERS = ("public", "pushed_at", "pulls", "size")
_INSERT = Statement(
    insert(table).values(
        name=bindparam("name", type_=Text()),
        sort_key=bindparam("sort_key", type_=Text()),
        created_at=1,
        indexed=1,
        **{name: bindparam(name, type_=Integer()) for name in _NUMBERS},
    )
)
pytestmark = pytest.mark.settings(index__files=False)


@dataclass(frozen=True)
class Known:
    """What a row was made with."""

    name: str
    public: int
    pushed: int
    pulls: int
    size: int


def resources_of(registry: Registry) -> Resources:
    found = registry.workers[-1].app.resources
    assert found is not None
    return found


def known(count: int) -> list[Known]:
    return [
        Known(
            f"team-{number % 40}/app-{number}" if number % 9 else f"app{number}",
            int(number % 3 == 0),
            number * 7919 % 1000,
            number * 31 % 17,
            number * 104729 % 5000,
        )
        for number in range(1, count + 1)
    ]


async def put(resources: Resources, found: list[Known]) -> None:
    async def work(tx: Transaction, some: list[Known]) -> None:
        for one in some:
            key = sort_key(one.name)
            numbers = (one.public, one.pushed, one.pulls, one.size)
            values = dict(zip(_NUMBERS, numbers, strict=True))
            await tx.run(_INSERT, name=one.name, sort_key=key, **values)

    for start in range(0, len(found), 500):
        await resources.database.write(work, found[start : start + 500])


@pytest.fixture
async def many(registry: Registry) -> list[Known]:
    found = known(MANY)
    await put(resources_of(registry), found)
    return found


def user(*patterns: str, ceiling: str | None = None) -> Principal:
    grants = tuple(Grant("user:a", "reader", one, ROLES["reader"]) for one in patterns)
    allowance = () if ceiling is None else ((Allowance(ceiling, frozenset({Action.PULL})),),)
    return Principal("user:a", grants, allowance)


WHO = {
    "all": ANYONE,
    "nobody": NOBODY,
    "one": user("team-1/app-1"),
    "teams": user("team-1/**", "team-2*/**"),
    "glob": user("**/app-*5"),
    "ceiling": user("**", ceiling="team-7/**"),
}


def seen(principal: Principal, one: Known) -> bool:
    may = allowed(principal, Action.PULL, one.name)
    open_ = bool(one.public) and within_ceilings(principal.ceilings, Action.PULL, one.name)
    return may or open_


async def listed(
    resources: Resources, principal: Principal, order: Order, *, descending: bool
) -> list[str]:
    names: list[str] = []
    cursor = None
    while True:
        query = RepositoryQuery(order=order, descending=descending, cursor=cursor, limit=200)
        page = await repositories.page(resources, principal, query)
        names += [one.name for one in page.repositories]
        if page.next is None:
            return names
        cursor = page.next


@on_both_databases
async def test_every_order_for_everyone(registry: Registry, many: list[Known]) -> None:
    keys: dict[Order, Callable[[Known], int]]
    keys = {"name": lambda _: 0, "pushed": lambda one: one.pushed, "size": lambda one: one.size}
    for principal in WHO.values():
        for order, key in keys.items():
            mine = [one for one in many if seen(principal, one)]
            mine = sorted(sorted(mine, key=lambda one: sort_key(one.name)), key=key)
            names = [one.name for one in mine]
            descending = order == "size"
            found = await listed(resources_of(registry), principal, order, descending=descending)
            assert found == (names[::-1] if descending else names)


@on_both_databases
async def test_namespaces_and_storage(registry: Registry, many: list[Known]) -> None:
    resources = resources_of(registry)
    for principal in WHO.values():
        mine = [one for one in many if seen(principal, one)]
        told = await storage.storage(resources, principal)
        assert told.size == sum(one.size for one in mine)
        assert told.repositories == len(mine)
        assert told.rest == told.size - sum(one.size for one in told.largest)
        page = await storage.namespaces(resources, principal, order="size", limit=5)
        assert page.total == len(
            {one.name.partition("/")[0] for one in mine if "/" in one.name}
        ) + (any("/" not in one.name for one in mine))


@on_both_databases
async def test_filters(registry: Registry) -> None:
    resources = resources_of(registry)
    config = encode({"os": "linux", "architecture": "arm64"})
    await registry.push_blob("team/web", config)
    await registry.push_manifest("team/web", "1", image(config))
    await registry.push_blob("team/sub/x_y", b"{}")
    await registry.push_blob("other", b"{}")

    async def names(**asked: object) -> list[str]:
        query = RepositoryQuery(**asked)  # type: ignore[arg-type]
        page = await repositories.page(resources, ANYONE, query)
        assert page.total in (None, len(page.repositories))
        return [one.name for one in page.repositories]

    assert await names(text="WEB") == ["team/web"]
    assert await names(text="m/s") == await names(text="_") == ["team/sub/x_y"]
    assert await names(text="%") == []
    assert await names(namespace="team") == ["team/sub/x_y", "team/web"]
    assert await names(namespace="team/sub") == ["team/sub/x_y"]
    assert await names(platform="linux/arm64") == await names(kind="image") == ["team/web"]
    assert await names(platform="linux/arm") == await names(kind="index") == []
    assert await names(pushed_days=1) == ["team/web"]
    assert await names(public=True) == []
    for wrong in ({"kind": "x"}, {"platform": "a/b/c/d"}, {"cursor": "x"}, {"pushed_days": 0}):
        with pytest.raises(InvalidRequest):
            await names(**wrong)


@on_both_databases
async def test_one_repository(registry: Registry) -> None:
    resources = resources_of(registry)
    notes = {"org.opencontainers.image.description": "From the image.", "x": "y"}
    await registry.push_image("a", "1", b"layer", annotations=notes)
    told = await repositories.overview(resources, ANYONE, "a")
    assert (told.repository.description, told.readme_from) == ("From the image.", "image")
    assert told.pushed_by == "anonymous"
    assert "delete" in told.actions
    caller = Caller(ANYONE)
    await settings.describe(resources, "a", " Two\n words ", caller)
    await settings.write_readme(resources, "a", "# Title", caller)
    told = await repositories.overview(resources, user("a"), "a")
    assert (told.repository.description, told.readme) == ("Two words", "# Title")
    assert told.actions == ("pull",)
    assert await settings.remove_readme(resources, "a", caller)
    assert not await settings.remove_readme(resources, "a", caller)
    with pytest.raises(InvalidRequest):
        await settings.describe(resources, "a", "x" * (settings.DESCRIPTION + 1), caller)
    with pytest.raises(InvalidRequest):
        await settings.write_readme(resources, "a", "x" * (settings.README + 1), caller)
    with pytest.raises(Denied):
        await settings.describe(resources, "a", "x", Caller(user("a")))
    with pytest.raises(NameUnknown):
        await settings.describe(resources, "b", "x", caller)
    await settings.set_public(resources, "a", True, caller)
    assert (await repositories.overview(resources, NOBODY, "a")).repository.public
    series = await traffic.series(resources, "a", days=7)
    assert [day.size for day in series.days] == [None] * 6 + [told.repository.size]
    by_tag = await traffic.series(resources, "a", tag="1", days=2)
    assert by_tag.days[-1].size is not None
