"""People sign in at an OpenID Connect provider: a real one, and one that plays tricks."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from kho.server.database import audit
from kho.server.database.audit import Filter
from kho.server.database.identities import accounts, groups
from kho.server.index.audit import flush
from kho.server.index.browser import oidc
from tests.flows.browser import Browser
from tests.flows.databases import on_both_databases
from tests.flows.people import resources_of
from tests.flows.registry import Registry
from tests.provider import CLIENT, SECRET, Provider


async def account(registry: Registry, name: str) -> accounts.AccountRow:
    """The row."""
    found = await resources_of(registry).database.read(accounts.find, name)
    assert found is not None
    return found


async def groups_of(registry: Registry, name: str) -> list[str]:
    """As the rows say."""
    return await resources_of(registry).database.read(groups.of_user, name)


@on_both_databases
async def test_a_person_of_the_provider_gets_an_account(
    signed: Registry, provider: Provider
) -> None:
    browser = Browser(signed)
    assert await browser.sign_in_at(provider, "/auth/device") == 303
    assert browser.page is not None
    assert browser.page["Location"] == "/auth/device"
    assert await browser.user() == {"name": "alice", "source": "oidc", "admin": False}
    row = await account(signed, "alice")
    assert (row.source, row.email, row.password_hash) == ("oidc", "alice@example.com", None)
    assert row.external_id == f"{provider.url} 1"
    assert row.last_login_at is not None
    assert await groups_of(signed, "alice") == ["dev", "team@web"]
    assert provider.wrongs == []


async def test_the_account_is_known_by_its_subject_whatever_it_is_called_now(
    signed: Registry, provider: Provider
) -> None:
    await Browser(signed).sign_in_at(provider)
    provider.person |= {"preferred_username": "renamed", "email": "new@example.com"}
    browser = Browser(signed)
    assert await browser.sign_in_at(provider) == 303
    assert (await browser.user() or {})["name"] == "alice"
    assert (await account(signed, "alice")).email == "new@example.com"


async def test_a_name_that_is_taken_is_never_linked(signed: Registry, provider: Provider) -> None:
    resources = resources_of(signed)
    await resources.database.write(accounts.add, "alice", source="local", admin=True)
    browser = Browser(signed)
    assert await browser.sign_in_at(provider) == 403
    assert "The name alice belongs to another account" in browser.text
    assert await browser.user() is None
    assert (await account(signed, "alice")).external_id is None


async def test_another_subject_with_the_same_name_is_refused(
    signed: Registry, provider: Provider
) -> None:
    await Browser(signed).sign_in_at(provider)
    provider.person |= {"sub": "2", "groups": ["admins"]}
    assert await Browser(signed).sign_in_at(provider) == 403
    assert not (await account(signed, "alice")).admin


@pytest.mark.settings(oidc__username_claim="nick")
@pytest.mark.parametrize("name", [None, "", "  ", "operator", "Everyone", "!!!", 7, "é"])
async def test_a_name_that_cannot_be_one_is_refused(
    signed: Registry, provider: Provider, name: object
) -> None:
    provider.person["nick"] = name
    browser = Browser(signed)
    assert await browser.sign_in_at(provider) == 403
    assert "oidc.username_claim" in browser.text


async def test_names_of_an_htpasswd_file_are_taken_too(
    tmp_path: Path, database_url: str, provider: Provider
) -> None:
    file = tmp_path / "htpasswd"
    file.write_text("Alice:$2y$05$" + "a" * 53 + "\n")
    flags = {"oidc.issuer": provider.url, "oidc.client_id": CLIENT, "oidc.client_secret": SECRET}
    registry = Registry(tmp_path, database_url, {**flags, "auth.htpasswd": str(file)})
    await registry.start()
    assert await Browser(registry).sign_in_at(provider) == 403
    await registry.stop()


async def test_a_disabled_account_stays_out(signed: Registry, provider: Provider) -> None:
    await Browser(signed).sign_in_at(provider)
    await resources_of(signed).database.write(accounts.set_disabled, "alice", True)
    browser = Browser(signed)
    assert await browser.sign_in_at(provider) == 403
    assert "disabled" in browser.text


async def test_A8_groups_are_replaced_at_each_login(signed: Registry, provider: Provider) -> None:
    resources = resources_of(signed)
    await Browser(signed).sign_in_at(provider)
    await resources.database.write(groups.add, "mine")
    await resources.database.write(groups.add_member, "mine", "alice")
    provider.person["groups"] = ["ops", "with space", "a@b", "everyone", 7, "OPS"]
    await Browser(signed).sign_in_at(provider)
    assert await groups_of(signed, "alice") == ["mine", "ops"]
    provider.person["groups"] = None
    await Browser(signed).sign_in_at(provider)
    assert await groups_of(signed, "alice") == ["mine"]


async def test_A8_an_administrator_is_one_as_long_as_the_group_says(
    signed: Registry, provider: Provider
) -> None:
    provider.person["groups"] = ["admins"]
    browser = Browser(signed)
    await browser.sign_in_at(provider)
    assert (await browser.user() or {})["admin"] is True
    provider.person["groups"] = ["/admins", "Admins"]  # not quite
    await Browser(signed).sign_in_at(provider)
    resources_of(signed).memory.forget()
    assert (await browser.user() or {})["admin"] is False


@pytest.mark.settings(oidc__admin_group="")
async def test_without_an_admin_group_the_flag_stays_as_it_was_set(
    signed: Registry, provider: Provider
) -> None:
    await Browser(signed).sign_in_at(provider)
    await resources_of(signed).database.write(accounts.set_admin, "alice", True)
    await Browser(signed).sign_in_at(provider)
    assert (await account(signed, "alice")).admin


async def test_what_the_id_token_lacks_comes_from_the_user_info(
    signed: Registry, provider: Provider
) -> None:
    provider.hidden = ("groups", "email")
    await Browser(signed).sign_in_at(provider)
    assert await groups_of(signed, "alice") == ["dev", "team@web"]
    provider.info_sub = "somebody else"
    await Browser(signed).sign_in_at(provider)
    assert await groups_of(signed, "alice") == []


@pytest.mark.settings(oidc__username_claim="email")
async def test_an_unverified_address_is_no_name(signed: Registry, provider: Provider) -> None:
    provider.person["email_verified"] = False
    assert await Browser(signed).sign_in_at(provider) == 403
    provider.person["email_verified"] = True
    assert await Browser(signed).sign_in_at(provider) == 303


WAYS: dict[str, tuple[list[str] | None, bool]] = {
    "default": (None, False),
    "basic": (["client_secret_post", "client_secret_basic"], False),
    "post": (["client_secret_post"], True),
}


@pytest.mark.parametrize("way", WAYS)
async def test_the_client_shows_its_secret_as_the_provider_wants(
    signed: Registry, provider: Provider, way: str
) -> None:
    provider.methods, in_form = WAYS[way]
    assert await Browser(signed).sign_in_at(provider) == 303
    assert ("client_secret" in provider.forms[-1]) == in_form


@pytest.mark.settings(oidc__client_secret="")
async def test_a_public_client_has_its_verifier_alone(signed: Registry, provider: Provider) -> None:
    provider.secret = ""
    assert await Browser(signed).sign_in_at(provider) == 303
    assert provider.forms[-1]["client_id"] == CLIENT
    assert len(provider.forms[-1]["code_verifier"]) >= 43


@pytest.mark.settings(http__public_url="https://registry.example")
async def test_B7_the_redirect_uri_is_the_configured_one(
    signed: Registry, provider: Provider
) -> None:
    browser = Browser(signed, "https://registry.example")
    answer = await browser.client.get("/auth/oidc/login", ("Host", "evil.example"))
    (uri,) = parse_qs(urlsplit(answer["Location"]).query)["redirect_uri"]
    assert uri == "https://registry.example/auth/oidc/callback"
    assert await browser.sign_in_at(provider) == 303


@pytest.mark.parametrize("how", ["error", "huge", "text", "stranger", "gone"])
async def test_a_provider_that_does_not_work_is_told(
    signed: Registry, provider: Provider, how: str
) -> None:
    browser = Browser(signed)
    if how == "gone":
        await provider.stop()
    provider.misbehave = how
    answer = await browser.get("/auth/oidc/login")
    assert answer.status == 503
    assert int(answer["Retry-After"]) > 0
    assert "does not work at the moment" in browser.text


async def test_a_wrong_secret_is_told_without_the_secret(
    signed: Registry, provider: Provider
) -> None:
    provider.secret = "another"
    browser = Browser(signed)
    assert await browser.sign_in_at(provider) == 503
    assert "refuses our client id or secret" in browser.text
    assert SECRET not in browser.text


async def test_beginning_again_and_again_is_asked_to_wait(signed: Registry) -> None:
    browser = Browser(signed)
    statuses = [(await browser.get("/auth/oidc/login")).status for _ in range(62)]
    assert statuses[:60] == [303] * 60
    assert statuses[-1] == 429


async def test_hostile_names_are_shown_as_text(signed: Registry, provider: Provider) -> None:
    provider.person["preferred_username"] = "<b>Eve</b> \"'"
    browser = Browser(signed)
    assert await browser.sign_in_at(provider) == 303
    assert (await browser.user() or {})["name"] == "b-eve-b"


async def test_a_login_leaves_its_trail(signed: Registry, provider: Provider) -> None:
    await Browser(signed).sign_in_at(provider)
    provider.change = {"nonce": "wrong"}
    await Browser(signed).sign_in_at(provider)
    resources = resources_of(signed)
    await flush(resources)
    rows = await resources.database.read(audit.find, Filter(actions=("login",)), 0, 10)
    assert {(row.outcome, row.actor) for row in rows} == {
        ("allowed", "user:alice"),
        ("failed", "anonymous"),
    }
    assert all(row.address == "192.0.2.1" for row in rows)


@pytest.mark.parametrize(
    "claim,name",
    [
        ("alice", "alice"),
        ("Alice Doe", "alice-doe"),
        ("alice@Example.com", "alice@example.com"),
        ("DOMAIN\\alice", "domain-alice"),
        ("..alice", ""),
        ("x" * 129, ""),
        ("user:root", "user-root"),
    ],
)
def test_names_are_cleaned_to_the_grammar(claim: str, name: str) -> None:
    assert oidc.clean_name(claim) == name


@pytest.mark.parametrize(
    "claim,name",
    [
        ("dev", "dev"),
        ("/dev", "dev"),
        ("team/web", "team@web"),
        ("team@web", ""),  # else whoever may call a group so would be in team/web
        ("team-web", "team-web"),
        ("two words", ""),
        ("operator", ""),
        ("//", ""),
    ],
)
def test_no_two_groups_become_one(claim: str, name: str) -> None:
    assert oidc.group_name(claim) == name
