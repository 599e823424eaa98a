"""Accounts of a directory: a real slapd, over TLS, and what clients may try with it."""

import asyncio
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from kho.oci.errors import TooManyRequests, Unauthorized, Unavailable
from kho.server.config import Config, load
from kho.server.database.identities import accounts, groups
from kho.server.index import logins
from kho.server.index.sources import ldap
from kho.server.policy.identity import Identity
from kho.server.resources import Memory, Resources
from tests.flows.registry import Registry
from tests.slapd import PEOPLE, SEARCHER, Slapd, SlapdMissing, entry, group, person

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import ldap3  # noqa: F401  it uses old names of pyasn1, which say so when they are imported

ALICE = f"uid=alice,{PEOPLE}"
ODD = f"cn=Dora \\, the (first) \\+ ü*,{PEOPLE}"
HERE = "192.0.2.1"
OTHERS: list[Memory] = []  # of workers with other settings


@pytest.fixture(scope="module")
def canary() -> Iterator[socket.socket]:
    """Where a referral leads; nobody may come."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture(scope="module")
def slapd(canary: socket.socket) -> Iterator[Slapd]:
    """One directory for all tests of this file."""
    if os.environ.get("KHO_TEST_SLAPD") == "skip":
        pytest.skip("KHO_TEST_SLAPD=skip")
    elsewhere = f"ldap://127.0.0.1:{canary.getsockname()[1]}/{PEOPLE}"
    try:
        server = Slapd(
            person("alice", "päss wörd"),
            person("bob", "bob-secret"),
            person("dora", "dora-secret", cn="Dora \\, the (first) \\+ ü*"),
            person("twin", "twin-secret"),
            person("twin", "twin-secret", cn="twin"),
            entry(f"ou=away,{PEOPLE}", "referral", "extensibleObject", ou="away", ref=elsewhere),
            group("writers", ALICE, ODD),
            group("Readers", ALICE),
            group("Domain Users", ALICE),
            group("everyone", ALICE),
            group("others", f"uid=bob,{PEOPLE}"),
        )
    except SlapdMissing as error:
        pytest.fail(str(error), pytrace=False)
    with server:
        yield server


@pytest.fixture
def settings(slapd: Slapd, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Of a registry whose accounts are in the directory."""
    marker = request.node.get_closest_marker("settings")
    given = {} if marker is None else marker.kwargs
    return slapd.settings(**given)


@pytest.fixture
def resources(registry: Registry) -> Iterator[Resources]:
    """What one worker stands on."""
    found = registry.workers[-1].app.resources
    assert found is not None
    yield found
    while OTHERS:
        OTHERS.pop().close()


def with_ldap(resources: Resources, **changed: Any) -> Resources:
    """The same, with other settings of the directory."""
    config = replace(resources.config, ldap=replace(resources.config.ldap, **changed))
    OTHERS.append(Memory())
    return replace(resources, config=config, memory=OTHERS[-1])


async def test_a_password_is_right_or_wrong(resources: Resources) -> None:
    assert await ldap.authenticate(resources, "alice", "päss wörd") == ["readers", "writers"]
    assert await ldap.authenticate(resources, "alice", "pass word") is None
    assert await ldap.authenticate(resources, "bob", "päss wörd") is None
    assert await ldap.authenticate(resources, "nobody", "päss wörd") is None
    assert await ldap.groups_of(resources, "bob") == ["others"]
    assert await ldap.groups_of(resources, "nobody") is None


# A bind with a DN and without a password succeeds at this server; U+00AD is prepared to nothing.
@pytest.mark.parametrize("password", ["", "\u00ad", "\u00ad\u200b", "\0", " "])
async def test_no_bind_without_a_password(resources: Resources, password: str) -> None:
    assert await ldap.authenticate(resources, "alice", password) is None
    with pytest.raises(Unauthorized):
        await logins.authenticate(resources, "alice", password, HERE)


@pytest.mark.parametrize(
    "name",
    ["*", "a*", "alice)(uid=*", "*)(|(uid=alice", "alice\\2a", "alice\0", "{dn}", "{username}"],
)
async def test_a_name_is_text_and_no_filter(resources: Resources, name: str) -> None:
    assert await ldap.groups_of(resources, name) is None
    assert await ldap.authenticate(resources, name, "päss wörd") is None


async def test_a_name_is_no_dn(resources: Resources) -> None:
    resources = with_ldap(resources, user_filter="(|(uid={username})(cn={username}))")
    for name in (ALICE, f"alice,{PEOPLE}", "alice+cn=alice", "search", SEARCHER):
        assert await ldap.authenticate(resources, name, "päss wörd") is None
        assert await ldap.authenticate(resources, name, "search-secret") is None


async def test_a_dn_with_special_characters_finds_its_groups(resources: Resources) -> None:
    assert await ldap.authenticate(resources, "dora", "dora-secret") == ["writers"]


async def test_two_entries_are_refused(resources: Resources) -> None:
    assert await ldap.authenticate(resources, "twin", "twin-secret") is None


async def test_referrals_are_not_followed(resources: Resources, canary: socket.socket) -> None:
    assert await ldap.authenticate(resources, "away", "x") is None
    assert await ldap.authenticate(resources, "alice", "päss wörd") is not None
    with pytest.raises(Unavailable):
        await ldap.groups_of(with_ldap(resources, user_base=f"ou=away,{PEOPLE}"), "alice")
    with pytest.raises(BlockingIOError):
        canary.accept()


async def test_certificates_are_verified(
    resources: Resources, slapd: Slapd, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign.pem"
    trustme.CA().cert_pem.write_to_path(str(foreign))
    secure = f"ldaps://localhost:{slapd.tls_port}"
    good = with_ldap(resources, url=secure)
    assert await ldap.authenticate(good, "bob", "bob-secret") == ["others"]
    for changed in (
        {"ca": str(foreign)},
        {"ca": ""},
        {"url": f"ldap://127.0.0.1:{slapd.port}"},
        {"url": secure, "ca": str(foreign)},
        {"url": secure.replace("localhost", "127.0.0.1")},
    ):
        with pytest.raises(Unavailable):
            await ldap.authenticate(with_ldap(resources, **changed), "bob", "bob-secret")


async def test_without_tls_only_when_told_so(resources: Resources, slapd: Slapd) -> None:
    plain = with_ldap(resources, start_tls=False, url=f"ldap://127.0.0.1:{slapd.port}")
    assert await ldap.authenticate(plain, "bob", "bob-secret") == ["others"]


async def test_a_searcher_who_is_refused_is_trouble(resources: Resources) -> None:
    for changed in ({"bind_password": "wrong"}, {"user_base": "ou=absent,dc=kho,dc=test"}):
        with pytest.raises(Unavailable):
            await ldap.authenticate(with_ldap(resources, **changed), "bob", "bob-secret")


async def test_a_directory_that_is_down_or_silent(
    resources: Resources, slapd: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ldap, "WHOLE_SECONDS", 1.0)
    slapd.pause()
    try:
        with pytest.raises(Unavailable) as refused:
            await ldap.authenticate(resources, "bob", "bob-secret")
        many = [ldap.authenticate(resources, "bob", "bob-secret") for _ in range(40)]
        found = await asyncio.gather(*many, return_exceptions=True)
        assert {type(one) for one in found} == {Unavailable, TooManyRequests}
    finally:
        slapd.resume()
    assert dict(refused.value.headers)["Retry-After"]
    monkeypatch.undo()
    assert await ldap.authenticate(resources, "bob", "bob-secret") == ["others"]
    slapd.stop()
    try:
        with pytest.raises(Unavailable):
            await ldap.authenticate(resources, "bob", "bob-secret")
        with pytest.raises(Unavailable):
            await logins.authenticate(resources, "bob", "bob-secret", HERE)
    finally:
        slapd.start()
    assert await ldap.authenticate(resources, "bob", "bob-secret") == ["others"]


async def test_a_login_sets_the_groups_and_leaves_those_set_by_hand(
    resources: Resources, slapd: Slapd
) -> None:
    for name in ("mine", "writers"):
        await resources.database.write(groups.add, name)
    await resources.database.write(groups.add_member, "mine", "alice", "local")
    identity = await logins.authenticate(resources, "Alice", "päss wörd", HERE)
    assert identity == Identity("user:alice", "ldap")
    assert await resources.database.read(groups.of_user, "alice") == ["mine", "readers", "writers"]
    leave = "dn: cn=writers,ou=groups,dc=kho,dc=test\nchangetype: modify\ndelete: member\n"
    slapd.change(leave + f"member: {ALICE}\n")
    try:
        assert await logins.still_there(resources, identity)
    finally:
        slapd.change(leave.replace("delete: member", "add: member") + f"member: {ALICE}\n")
    assert await resources.database.read(groups.of_user, "alice") == ["mine", "readers"]


async def test_an_embedded_account_hides_the_directory_s(resources: Resources) -> None:
    identity = await logins.authenticate(resources, "bob", "bob-secret", HERE)
    assert await logins.still_there(resources, identity)
    await resources.database.write(accounts_add, "bob")
    resources.memory.forget()
    with pytest.raises(Unauthorized):
        await logins.authenticate(resources, "bob", "bob-secret", HERE)
    assert not await logins.still_there(resources, identity)
    assert not await logins.still_there(resources, Identity("user:nobody", "ldap"))


async def accounts_add(tx: Any, name: str) -> None:
    """An embedded account."""
    await accounts.add(tx, name, source="local")


def configured(**changed: Any) -> Config:
    """Settings that are right but for these."""
    right = {
        "url": "ldaps://ldap.example.test",
        "user_base": "ou=people",
        "bind_dn": "cn=search",
        "bind_password": "secret",
    }
    return load({f"ldap.{key}": value for key, value in {**right, **changed}.items()}, {})


def test_settings_that_are_right_pass() -> None:
    ldap.check(load({}, {}))
    ldap.check(configured())
    ldap.check(configured(group_base="ou=groups", bind_dn="", bind_password=""))


@pytest.mark.parametrize(
    "changed, told",
    [
        ({"url": "ldap://a.example.test/ou=x"}, "ldap.url"),
        ({"user_base": ""}, "ldap.user_base"),
        ({"bind_password": ""}, "ldap.bind_password"),
        ({"user_filter": "(uid=alice)"}, "ldap.user_filter"),
        ({"user_filter": "(uid={username}"}, "ldap.user_filter"),
        ({"group_base": "ou=groups", "group_filter": "(cn=all)"}, "ldap.group_filter"),
        ({"ca": "/nonexistent.pem"}, "ldap.ca"),
    ],
)
def test_settings_that_are_wrong_are_named(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        ldap.check(configured(**changed))


def test_the_extra_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ldap3", None)  # as if it were not installed
    with pytest.raises(ValueError, match=r"kho\[ldap\]"):
        ldap.check(configured())
