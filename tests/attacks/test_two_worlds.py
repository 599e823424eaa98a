"""P7: two registries, one of which holds more, none of it for the caller: nobody can tell which.

world    team/app  public/app                            every operation and page, every caller:
world'   the same, and hidden repositories that share    the same status, headers, body
         its layers, manifests, referrers, words
"""

import re
from collections.abc import AsyncIterator, Iterator
from itertools import product
from pathlib import Path

import pytest

from kho.oci.digest import Digest
from kho.oci.media_types import OCI_MANIFEST
from kho.server.database.open import migrate
from kho.server.index import audit, traffic
from kho.server.web.api.table import OPERATIONS
from kho.server.web.request import Audience
from kho.server.web.routes import ROUTES
from tests.client.layers import file, layer
from tests.flows import contents
from tests.flows.api import QUERIES, signed_in
from tests.flows.client import without_id
from tests.flows.people import Field, People, basic, resources_of
from tests.flows.registry import Registry
from tests.house.test_routes import PARTS
from tests.oci.samples import descriptor, index

BASE, TOP, OTHER = layer(file("a", b"base")), layer(file("b", b"top")), layer(file("zz", b"z"))
HIDDEN = ("secret/app", "team/app2", "team/hidden/x", "app")
NAMES = ("team/app", "public/app", *HIDDEN, "team/absent")
WORDS = (
    "app",
    "hidden",
    "secret",
    "riscv64",
    "zz",
    "",
    str(Digest.of(OTHER)),
    str(Digest.of(BASE)),
)
CALLERS = ("maintainer", "reader", "stranger", "narrow", "nobody")
VIEWS = ("", "?view=files", "?view=config", "?view=attachments", "?view=waste", "?a=1&b=2&path=a")
# Times and secrets of one run.
_OWN = re.compile(
    r"\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z|\+00:00)?|\d+:\d\d:\d\d.[AP]M UTC|just now|\d+ \w+ ago"
    r'|"(?:id|request_id)": ?(?:\d+|"\w+")|(?:value|content)="\w+"|[0-9a-f]{8}-[0-9a-f-]{27}'
)
_LEFT_OUT = {"content-length", "etag", "set-cookie", "date"}


class World:
    """A registry and its people, who are the same in both."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.people = People(registry)
        self.headers: dict[str, list[Field]] = {"nobody": []}
        self.cookies: dict[str, list[Field]] = {"nobody": []}

    async def fill(self) -> tuple[bytes, bytes]:
        """What both worlds hold: two manifests."""
        registry = self.registry
        first = await contents.push(registry, "team/app", "1", contents.config("A=1"), BASE)
        second = await contents.push(registry, "team/app", "2", contents.config("A=2"), BASE, TOP)
        subject = descriptor(first, OCI_MANIFEST)
        await contents.push(registry, "team/app", None, b"{}", b"signature", subject=subject)
        await contents.push(registry, "public/app", "1", contents.config("P=1"), BASE)
        return first, second

    async def hide(self, first: bytes, second: bytes) -> None:
        """What one world holds besides."""
        registry = self.registry
        words = {"org.opencontainers.image.description": "zz hidden words"}
        for name in HIDDEN:
            for tag, env, layers in (("1", "A=1", [BASE]), ("hidden", "A=2", [BASE, TOP])):
                await contents.push(registry, name, tag, contents.config(env), *layers)
            config = contents.config("S=zz", architecture="riscv64")
            await contents.push(registry, name, "own", config, OTHER, annotations=words)
            for one in (first, second):
                subject = descriptor(one, OCI_MANIFEST)
                await contents.push(registry, name, None, b"{}", b"hidden", subject=subject)
            children = [descriptor(one, OCI_MANIFEST) for one in (first, second)]
            await registry.push_manifest(name, "all", index() | {"manifests": children})
            await registry.client.get(f"/v2/{name}/manifests/1")
        await self.people.user("hidden-user")
        await self.people.grant("user:hidden-user", "maintainer", "secret/**")

    async def inhabit(self) -> None:
        """Who asks."""
        await self.people.user("root", admin=True)
        for name in ("stranger", "reader", "maintainer"):
            self.headers[name] = [basic(name, await self.people.user(name))]
            if name != "stranger":
                await self.people.grant(f"user:{name}", name, "team/app")
            self.cookies[name] = (await signed_in(self.people, name)).headers()
        narrow = await self.people.token("user:root", ("team/app", "pull,push,delete"), name="few")
        self.headers["narrow"] = [basic("root", narrow)]
        await self.people.publish("public/app")
        for _ in range(2):
            await traffic.flush(resources_of(self.registry))

    async def answer(self, path: str, headers: list[Field]) -> tuple[int, list[Field], str]:
        """All that the caller learns."""
        found = await self.registry.client.get(path, *headers)
        await audit.flush(resources_of(self.registry))  # or how many are told as one is chance
        kept = [(key, _OWN.sub("", value)) for key, value in without_id(found)]
        text = _OWN.sub("", found.body.decode("utf-8", "backslashreplace"))
        return found.status, [pair for pair in kept if pair[0] not in _LEFT_OUT], text


@pytest.fixture
async def worlds(registry: Registry, tmp_path: Path) -> AsyncIterator[tuple[World, World]]:
    """Without, and with what is hidden."""
    folder = tmp_path / "fuller"
    folder.mkdir()
    url = f"sqlite:///{folder}/kho.db"
    migrate(url)
    fuller = Registry(folder, url, {"index.files": False})
    await fuller.start()
    both = World(registry), World(fuller)
    for world in both:
        first, second = await world.fill()
        if world is both[1]:
            await world.hide(first, second)
        await world.inhabit()
    yield both
    await fuller.stop()


def operations() -> Iterator[str]:
    """Addresses of the API and of the search, for each repository that is there or is not."""
    for one in OPERATIONS:
        if one.method == "GET":
            references = (
                ("1", "own", str(Digest.of(OTHER))) if "{reference}" in one.path else ("1",)
            )
            for name, reference in product(
                NAMES if "{name}" in one.path else NAMES[:1], references
            ):
                path = one.path.format(**{**PARTS, "name": name, "reference": reference})
                yield f"/api/v1{path}{QUERIES.get(one.id, '').replace('.0', '')}"
    for word in WORDS:
        yield f"/v1/search?n=100&q={word}"
        yield from (f"/api/v1/search?q={word}{more}" for more in ("", "&platform=linux/riscv64"))
    for order, more in product(
        ("name", "pushed", "pulls", "size"),
        ("", "&text=hidden", "&namespace=secret", "&platform=linux/riscv64"),
    ):
        yield f"/api/v1/repositories?order={order}{more}"
    yield from (
        f"/api/v1/repositories?limit=1&order={order}" for order in ("name", "pulls", "size")
    )
    yield from (f"/api/v1/namespaces?order={order}" for order in ("name", "size", "repositories"))
    yield from (f"/api/v1/storage?namespace={name}" for name in ("", "team", "secret"))


def pages() -> Iterator[str]:
    """Addresses of pages."""
    for one in ROUTES:
        if one.audience is Audience.PEOPLE and one.method == "GET" and "oidc" not in one.template:
            views = VIEWS if one.template.startswith("/{name}:{tag}") else ("", "?a=1&b=2&path=a")
            tags = ("1", "own") if "{tag}" in one.template else ("1",)
            names = NAMES if "{name}" in one.template else NAMES[:1]
            for name, tag, view in product(names, tags, views):
                yield one.template.format(**{**PARTS, "name": name, "tag": tag}) + view
    for word in WORDS:
        yield from (f"/?text={word}", f"/-/search?q={word}", f"/-/storage?namespace={word}")


@pytest.mark.settings(index__files=False)
async def test_P7_nobody_can_tell_what_is_hidden(worlds: tuple[World, World]) -> None:
    without, fuller = worlds
    statuses = set()
    for who, path in product(CALLERS, operations()):
        one = await without.answer(path, without.headers[who])
        assert one == await fuller.answer(path, fuller.headers[who]), (who, path)
        statuses.add(one[0])
    for who, path in product(("maintainer", "nobody"), pages()):
        one = await without.answer(path, without.cookies[who])
        assert one == await fuller.answer(path, fuller.cookies[who]), (who, path)
        statuses.add(one[0])
    assert {200, 303, 401, 403, 404} <= statuses
