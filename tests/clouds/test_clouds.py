"""Push, pull, tags, delete and logins at each big registry, as each wants to be asked."""

import base64
from pathlib import Path

import pytest

from kho.client.stores.copy import Copier
from kho.client.stores.layout import Layout
from kho.oci.digest import Digest
from kho.remote import manifests
from kho.remote.credentials import Credential, Kind
from kho.remote.errors import Forbidden, LoginNeeded, NotFound, TooBusy
from kho.remote.referrers import referrers
from kho.remote.registry import Registry
from kho.remote.tags import tags
from tests.client.images import image

from .amazon import HOURS_12, Ecr
from .azure import Azure
from .conftest import client, store
from .github import PLACEHOLDER
from .google import Google
from .hub import Hub
from .shape import Shape
from .sky import NAMES, Sky


def login(shape: Shape) -> Credential:
    return Credential(shape.user, shape.secret)


def host(shape: Shape) -> str:
    return "docker.io" if shape.name == "hub" else shape.host


def repository(shape: Shape) -> str:
    return shape.reference.partition("/")[2]


@pytest.mark.parametrize("name", NAMES)
async def test_push_list_pull(name: str, clouds: Sky, tmp_path: Path) -> None:
    shape = clouds.shapes[name]
    there = repository(shape)
    source, back = Layout(tmp_path / "source"), Layout(tmp_path / "back")
    made = await image(source, "v1", b"a" * 70_000, b"b")
    async with client(clouds, host(shape), login(shape)) as registry:
        await registry.login(login(shape))
        await Copier(source, store(registry, there)).copy("v1", ["1"])
        assert [tag async for tag in tags(registry, there)] == ["1"]
        await Copier(store(registry, there), back).copy("1", ["1"])
        assert (await back.manifest("1")).digest == made.digest
        assert await referrers(registry, there, made.digest) == []
        await manifests.delete(registry, there, str(made.digest))
        assert await manifests.find(registry, there, "1") is None


@pytest.mark.parametrize("name", NAMES)
async def test_nothing_goes_to_the_cdn_but_the_ticket(
    name: str, clouds: Sky, tmp_path: Path
) -> None:
    shape = clouds.shapes[name]
    source, back = Layout(tmp_path / "source"), Layout(tmp_path / "back")
    await image(source, "v1")
    async with client(clouds, host(shape), login(shape)) as registry:
        await Copier(source, store(registry, repository(shape))).copy("v1", ["cdn"])
        await Copier(store(registry, repository(shape)), back).copy("cdn", ["cdn"])
    fetched = [one for one in shape.seen if one.host == shape.cdn_host]
    assert len(fetched) == (2 if shape.cdn_host else 0)
    assert all(one.authorization is None for one in fetched)


@pytest.mark.parametrize("name", NAMES)
async def test_a_wrong_password_says_so(name: str, clouds: Sky) -> None:
    shape = clouds.shapes[name]
    async with client(clouds, host(shape)) as registry:
        with pytest.raises(LoginNeeded, match="user name and password not accepted"):
            await registry.login(Credential(shape.user, "wrong"))


@pytest.mark.parametrize("name", NAMES)
async def test_anonymous_pushes_are_told_to_log_in(name: str, clouds: Sky, tmp_path: Path) -> None:
    shape = clouds.shapes[name]
    source = Layout(tmp_path / "source")
    await image(source, "v1")
    async with client(clouds, host(shape)) as registry:
        with pytest.raises(LoginNeeded, match=r"log in to|anonymous requests not accepted"):
            await Copier(source, store(registry, repository(shape))).copy("v1", ["1"])


async def seeded(shape: Shape, path: str, tmp_path: Path) -> Digest:
    """An image that somebody else has published."""
    source = Layout(tmp_path / "seed")
    made = await image(source, "v1")
    async with Registry(shape.upstream.address.removeprefix("http://")) as registry:
        await Copier(source, store(registry, f"{shape.part}/{path}")).copy("v1", ["1"])
    return made.digest


@pytest.mark.parametrize(
    "name, path",
    [("hub", "library/debian"), ("github", "public/app"), ("ecr-public", "kholab/app")],
)
async def test_public_images_without_a_login(
    name: str, path: str, clouds: Sky, tmp_path: Path
) -> None:
    shape = clouds.shapes[name]
    digest = await seeded(shape, path, tmp_path)
    back = Layout(tmp_path / "back")
    async with client(clouds, host(shape)) as registry:
        await Copier(store(registry, path), back).copy("1", ["1"])
    assert (await back.manifest("1")).digest == digest
    assert all(PLACEHOLDER not in one.query.get("scope", []) for one in shape.seen)
    assert not any((one.authorization or "").startswith("Basic") for one in shape.seen)


async def test_ecr_wants_the_repository_first(clouds: Sky, tmp_path: Path) -> None:
    shape = clouds.shapes["ecr"]
    source = Layout(tmp_path / "source")
    await image(source, "v1")
    async with client(clouds, shape.host, login(shape)) as registry:
        with pytest.raises(NotFound, match="repository with name 'kholab/new' does not exist"):
            await Copier(source, store(registry, "kholab/new")).copy("v1", ["1"])


async def test_ecr_passwords_end(clouds: Sky) -> None:
    shape = clouds.shapes["ecr"]
    assert isinstance(shape, Ecr)
    async with client(clouds, shape.host, login(shape)) as registry:
        await registry.login(login(shape))
        shape.made = shape.clock() - HOURS_12 - 1
        with pytest.raises(Forbidden, match=r"has expired\. Reauthenticate"):
            await registry.login(login(shape))


async def test_google_takes_keys_and_tokens_as_they_are(clouds: Sky) -> None:
    shape = clouds.shapes["google"]
    assert isinstance(shape, Google)
    async with client(clouds, shape.host) as registry:
        await registry.login(Credential("_json_key", shape.key))
        await registry.login(Credential("", shape.secret, Kind.REGISTRY_TOKEN))
        with pytest.raises(LoginNeeded, match="token not accepted"):
            await registry.login(Credential("", "wrong", Kind.REGISTRY_TOKEN))


async def test_azure_takes_refresh_tokens_both_ways(clouds: Sky) -> None:
    shape = clouds.shapes["azure"]
    assert isinstance(shape, Azure)
    for one in (login(shape), Credential("", shape.secret, Kind.IDENTITY_TOKEN)):
        async with client(clouds, shape.host, one) as registry:
            await registry.login(one)
            assert await manifests.find(registry, "kholab/none", "1") is None
    assert [one.method for one in shape.seen if one.path == "/oauth2/token"] == [
        *("GET", "GET"),
        *("POST", "POST"),
    ]


async def test_hub_is_asked_again_after_a_rest(clouds: Sky, tmp_path: Path) -> None:
    shape = clouds.shapes["hub"]
    await seeded(shape, "library/busy", tmp_path)
    assert isinstance(shape, Hub)
    shape.busy = 1
    async with client(clouds, "docker.io") as registry:
        assert await manifests.find(registry, "library/busy", "1") is not None
        shape.busy, shape.rest = 1, 21_600
        with pytest.raises(TooBusy, match=r"docker.io/library/busy:1: You have reached your pull"):
            await manifests.get(registry, "library/busy", "1")


async def test_hub_gives_a_refresh_token(clouds: Sky) -> None:
    shape = clouds.shapes["hub"]
    async with client(clouds, "docker.io") as registry:
        token = await registry.login(login(shape))
    assert token is not None
    assert token.refresh is not None
    kept = Credential(shape.user, token.refresh, Kind.IDENTITY_TOKEN)
    async with client(clouds, "docker.io", kept) as registry:
        assert await manifests.find(registry, "kholab/none", "1") is None
    posted = [one for one in shape.seen if one.method == "POST"]
    assert [one.host for one in posted] == ["auth.docker.io"]
    pair = base64.b64encode(f"{shape.user}:{shape.secret}".encode()).decode()
    assert [one.host for one in shape.seen if pair in (one.authorization or "")] == [
        "auth.docker.io"
    ]
