"""What is wrong between here and a registry, step by step, in plain words.

proxy? ─► name ─► connection ─► TLS ─► ping, clock ─► challenge ─► login ─► token ─► repository
                                                                                      └► push, pull
Each step stands on the ones before it; the examination ends where nothing further can work.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Final
from urllib.parse import urlsplit

from kho.client.diagnosis import network
from kho.client.diagnosis.findings import Finding, Verdict, fail, ok, warn
from kho.client.diagnosis.writing import write_and_read
from kho.client.logins.claims import read_claims
from kho.client.logins.credentials import Place
from kho.remote.auth import check_realm
from kho.remote.credentials import Credential
from kho.remote.errors import (
    CredentialsHeld,
    Garbled,
    LoginNeeded,
    NotFound,
    Refused,
    RemoteError,
    printable,
)
from kho.remote.hosts import is_loopback
from kho.remote.registry import Registry
from kho.remote.tags import tags
from kho.remote.transport import Answer, Request, Transport

# Clocks: tokens have a leeway of about a minute.
_LEEWAY: Final = 30.0
_TOO_WRONG: Final = 300.0
_SHORT_TOKEN: Final = 60
_OK, _UNAUTHORIZED, _NOT_FOUND = 200, 401, 404


@dataclass(frozen=True, slots=True)
class Patient:
    """Whom to examine: the registry, its connections, who the user is there, and where."""

    registry: Registry
    transport: Transport
    login: tuple[Credential, Place] | None = None
    repository: str | None = None
    push: bool = False
    resolve: network.Resolve = network.resolve
    clock: Callable[[], float] = time


async def examine(patient: Patient) -> AsyncIterator[Finding]:
    """Each finding as it is made; nothing is raised for what is wrong over there."""
    for step in (_network, _greeting, _entrance, _repository):
        async for finding in step(patient):
            yield finding
            if finding.verdict is Verdict.FAIL and step is not _repository and _ends(finding):
                return


def _ends(finding: Finding) -> bool:
    return finding.step not in ("clock", "login")


async def _network(patient: Patient) -> AsyncIterator[Finding]:
    host = patient.registry.host
    url = urlsplit(host.urls[0])
    proxy = network.proxy_of(url)
    if proxy is not None:
        yield network.proxy(url, proxy)
        return
    found: list[network.Reached] = []
    async for finding in network.reach(url, patient.resolve, found):
        yield finding
    if not found:
        return
    if url.scheme == "http":
        advice = None if is_loopback(url.hostname or "") else "passwords can be read on the way"
        yield warn("TLS", "not used (--plain-http)", advice)
        return
    secured = await network.secure(host, found[0])
    if secured.verdict is Verdict.FAIL and host.plain and "speaks no TLS" in secured.told:
        yield ok("TLS", "plain HTTP, as this machine itself may be spoken to")
        return
    yield secured


async def _greeting(patient: Patient) -> AsyncIterator[Finding]:
    """GET /v2/ at the address that answers; the Date of the answer against the clock here."""
    registry = patient.registry
    step = f"ping {registry.name}"
    try:
        url = await _base(patient)
        expected = frozenset(range(300, 500))
        request = Request("GET", f"{url}/v2/", step, expected=expected, once=True)
        async with patient.transport.send(registry.host, request) as answer:
            yield _ping(answer, url)
            if answer.header("Date"):
                yield _clock(answer.header("Date") or "", patient.clock())
    except RemoteError as error:
        yield fail(
            "ping", str(error), "the server is there and does not answer as a registry", error
        )


async def _base(patient: Patient) -> str:
    """The address; one that does not challenge properly is looked at all the same."""
    try:
        return await patient.registry.base()
    except (Garbled, Refused):
        return patient.registry.host.urls[0]


def _ping(answer: Answer, url: str) -> Finding:
    kind = answer.header("Content-Type") or ""
    if answer.status == _NOT_FOUND:
        error = NotFound("ping", _NOT_FOUND, (), "")
        told = f"{url}/v2/ is not there (404): this is a web server, and no registry"
        return fail("ping", told, "check name and port; a proxy must pass /v2/ on", error)
    if answer.status == _UNAUTHORIZED:
        return ok("ping", f"{url}/v2/ answers, and wants a login")
    if answer.status != _OK:
        told = f"{url}/v2/ answers with status {answer.status}"
        return fail("ping", told, "look at the registry's log", Garbled(told))
    if "html" in kind:
        told = f"{url}/v2/ answers with a web page"
        return fail("ping", told, "this is no registry, or a portal is in the way", Garbled(told))
    return ok("ping", f"{url}/v2/ answers, open to everybody")


def _clock(date: str, now: float) -> Finding:
    try:
        skew = parsedate_to_datetime(date).timestamp() - now
    except (ValueError, TypeError):
        return warn("clock", f"the registry tells no time: {printable(date)}")
    side = "ahead of" if skew > 0 else "behind"
    told = f"the registry's clock is {abs(skew):.0f} s {side} this machine's"
    advice = "set the clocks by NTP: tokens and certificates are refused at the wrong time"
    if abs(skew) >= _TOO_WRONG:
        return fail("clock", told, advice, Garbled(told))
    if abs(skew) >= _LEEWAY:
        return warn("clock", told, advice)
    return ok("clock", f"within {abs(skew):.0f} s of this machine's")


async def _entrance(patient: Patient) -> AsyncIterator[Finding]:
    """Challenge, login, token."""
    registry = patient.registry
    try:
        challenge = await registry.challenge()
    except RemoteError as error:
        advice = "the registry must say `WWW-Authenticate: Bearer ...` or `Basic ...`"
        yield fail("challenge", str(error), advice, error)
        return
    if challenge is None:
        yield ok("challenge", "none: no login is asked for")
        return
    credential = None if patient.login is None else patient.login[0]
    if challenge.scheme == "bearer":
        realm = challenge.parameters.get("realm", "")
        try:
            check_realm(registry.host, realm, credential)
        except (CredentialsHeld, Garbled) as error:
            advice = "do not log in until you know whose that is"
            yield fail("challenge", str(error), advice, error)
            return
        yield ok("challenge", f"Bearer, tokens from {printable(realm)}")
    else:
        yield ok("challenge", "Basic: name and password go with each request")
    if patient.login is None:
        advice = f"`kho login {registry.name}`, unless only public images are wanted"
        yield warn("login", "none is kept here: requests are anonymous", advice)
    async for finding in _login(patient):
        yield finding


async def _login(patient: Patient) -> AsyncIterator[Finding]:
    registry = patient.registry
    if patient.login is not None:
        credential, place = patient.login
        name = f"{credential.username or 'token'} ({credential.kind.value}, in {place.place})"
        try:
            token = await registry.login(credential, offline=False)
        except RemoteError as error:
            refused = isinstance(error, LoginNeeded)
            advice = f"`kho login {registry.name}` again" if refused else "see its token server"
            yield fail("login", f"{name}: {error}", advice, error)
            return
        yield ok("login", f"{name} is accepted")
        if token is not None:
            yield _token(token.text, token.seconds, patient.clock())


def _token(text: str, seconds: float, now: float) -> Finding:
    """Its times, where it can be read, against the clock here."""
    claims = read_claims(text)
    told = f"good for {seconds:.0f} s"
    if claims is None:
        return ok("token", told)
    advice = "set the clocks of token server and this machine by NTP"
    starts, ends = claims.get("nbf", claims.get("iat")), claims.get("exp")
    if isinstance(starts, int | float) and starts > now + _LEEWAY:
        return warn("token", f"it holds only in {starts - now:.0f} s by the clock here", advice)
    if isinstance(ends, int | float) and ends <= now:
        told = f"it has ended {now - ends:.0f} s ago by the clock here"
        return warn("token", told, advice)
    if seconds < _SHORT_TOKEN:
        return warn("token", told, "a minute is the least that clients expect")
    return ok("token", told)


async def _repository(patient: Patient) -> AsyncIterator[Finding]:
    if patient.repository is None:
        return
    registry, repository = patient.registry, patient.repository
    shown = f"{registry.name}/{repository}"
    try:
        first = await anext(tags(registry, repository), None)
        yield ok("read", f"{shown} can be read" + (", and has no tags" if first is None else ""))
    except NotFound:
        told = f"{shown} is not there, or not for this login"
        yield warn("read", told, "most registries make it at the first push")
    except RemoteError as error:
        advice = "this login may not read it" if isinstance(error, Refused) else None
        yield fail("read", str(error), advice, error)
    if patient.push:
        async for finding in write_and_read(registry, repository):
            yield finding
