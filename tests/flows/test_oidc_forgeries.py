"""Answers of a provider that are not believed: forged, replayed, another's."""

import asyncio
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from kho.server.database.identities import accounts
from tests.flows.browser import Browser
from tests.flows.people import resources_of
from tests.flows.registry import Registry
from tests.provider import CLIENT, Provider


def forgery(**changes: object) -> Callable[[Provider], None]:
    """The ID token says something else; None leaves a claim out."""
    return lambda provider: provider.change.update(changes)


FORGERIES: dict[str, Callable[[Provider], None]] = {
    "nonce of another login": forgery(nonce="x" * 43),
    "no nonce": forgery(nonce=None),
    "nonce is a list": forgery(nonce=["x"]),
    "another issuer": forgery(iss="https://issuer.example"),
    "another audience": forgery(aud="another"),
    "no audience": forgery(aud=None),
    "two audiences, no azp": forgery(aud=[CLIENT, "another"]),
    "another azp": forgery(aud=[CLIENT, "another"], azp="another"),
    "azp alone is another": forgery(azp="another"),
    "expired": forgery(exp=1),
    "no exp": forgery(exp=None),
    "issued tomorrow": forgery(iat=4102444800),
    "no iat": forgery(iat=None),
    "no subject": forgery(sub=None),
    "empty subject": forgery(sub=""),
    "subject is a number": forgery(sub=7),
    "subject with a line break": forgery(sub="1\n2"),
    "unsigned": lambda provider: provider.sign_as("none", b""),
    "signed with the public key": lambda provider: provider.sign_as("HS256", provider.pem()),
    "unknown key": lambda provider: provider.header.update(kid="other"),
    "critical extension": lambda provider: provider.header.update(crit=["b64"]),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forged_id_token_is_not_believed(
    signed: Registry, provider: Provider, name: str
) -> None:
    url = await (browser := Browser(signed)).to_provider()
    FORGERIES[name](provider)
    answer = await browser.get(provider.approve(url))
    assert answer.status == 401, name
    assert await browser.user() is None
    assert await resources_of(signed).database.read(accounts.page, "", 10) == []


async def test_a_key_that_is_not_the_providers_signs_nothing(
    signed: Registry, provider: Provider
) -> None:
    assert await Browser(signed).sign_in_at(provider) == 303
    async with Provider() as other:
        provider.key = other.key  # same kid, and the document that is known has the right one
        assert await (browser := Browser(signed)).sign_in_at(provider) == 401
        assert await browser.user() is None


async def test_two_audiences_with_the_right_azp_are_fine(
    signed: Registry, provider: Provider
) -> None:
    provider.change = {"aud": [CLIENT, "another"], "azp": CLIENT}
    assert await Browser(signed).sign_in_at(provider) == 303


async def test_another_browser_cannot_finish_a_login(signed: Registry, provider: Provider) -> None:
    """Login CSRF: the attacker's answer is put into the victim's browser."""
    attacker, victim = Browser(signed), Browser(signed)
    back = provider.approve(await attacker.to_provider())
    for browser in (Browser(signed), victim):
        if browser is victim:
            await victim.to_provider()
        answer = await browser.get(back)
        assert answer.status == 401
        assert await browser.user() is None
    assert provider.forms == []  # the code was not even shown to the provider


@pytest.mark.parametrize("state", ["", "wrong", "é", "%00", "x" * 4000])
async def test_a_wrong_state_is_refused(signed: Registry, provider: Provider, state: str) -> None:
    browser = Browser(signed)
    back = urlsplit(provider.approve(await browser.to_provider()))
    query = {key: values[0] for key, values in parse_qs(back.query).items()} | {"state": state}
    answer = await browser.get(f"{back.path}?{urlencode(query)}")
    assert answer.status in {400, 401}
    assert provider.forms == []


async def test_an_answer_is_good_once(signed: Registry, provider: Provider) -> None:
    browser = Browser(signed)
    back = provider.approve(await browser.to_provider())
    answers = await asyncio.gather(*(browser.get(back) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [303, 401, 401, 401]
    assert len(provider.forms) == 1
    assert (await browser.get(back)).status == 401


async def test_the_code_of_another_login_is_refused_by_its_verifier(
    signed: Registry, provider: Provider
) -> None:
    first, second = Browser(signed), Browser(signed)
    stolen = parse_qs(urlsplit(provider.approve(await first.to_provider())).query)["code"][0]
    back = urlsplit(provider.approve(await second.to_provider()))
    query = {key: values[0] for key, values in parse_qs(back.query).items()} | {"code": stolen}
    answer = await second.get(f"{back.path}?{urlencode(query)}")
    assert answer.status == 401
    assert provider.wrongs == ["verifier"]


async def test_an_answer_of_another_issuer_is_refused(signed: Registry, provider: Provider) -> None:
    browser = Browser(signed)
    back = urlsplit(provider.approve(await browser.to_provider()))
    query = {key: values[0] for key, values in parse_qs(back.query).items()}
    answer = await browser.get(
        f"{back.path}?{urlencode({**query, 'iss': 'https://other.example'})}"
    )
    assert answer.status == 401
    assert provider.forms == []


async def test_who_goes_back_at_the_provider_is_told(signed: Registry) -> None:
    browser = Browser(signed)
    url = await browser.to_provider()
    (state,) = parse_qs(urlsplit(url).query)["state"]
    text = "<script>alert(1)</script>"
    query = urlencode({"state": state, "error": "access_denied", "error_description": text})
    answer = await browser.get(f"/auth/oidc/callback?{query}")
    assert answer.status == 401
    assert "please start again" in browser.text
    assert "alert(1)" not in browser.text


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example"])
async def test_W2_nobody_is_sent_elsewhere_after_the_provider(
    signed: Registry, provider: Provider, back: str
) -> None:
    browser = Browser(signed)
    assert await browser.sign_in_at(provider, back) == 303
    assert browser.page is not None
    assert browser.page["Location"] == "/"
