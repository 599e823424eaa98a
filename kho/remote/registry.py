"""One registry: how it wants to be asked, and requests with the right token.

    send(request, scopes) ─► first time: GET /v2/, which tells address and challenge
                          ─► a token for the scopes, or name and password, where it wants them
                          ─► 401 all the same: a new token, once

No scope is taken from the ping (GHCR's is a placeholder); what a later refusal asks for is.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import Final, Self
from urllib.parse import urljoin, urlsplit

from kho.oci.challenge import Challenge, parse_challenges
from kho.oci.scope import Scope, parse_scopes
from kho.remote import auth
from kho.remote.auth import Asking, Token, TokenAnswer, Tokens
from kho.remote.credentials import Credential, Kind, Lookup, anonymous
from kho.remote.errors import Garbled, LoginNeeded, Unreachable
from kho.remote.hosts import Access, Host
from kho.remote.transport import Answer, Request, Transport, same_origin

PULL: Final = frozenset({"pull"})
PUSH: Final = frozenset({"pull", "push"})
DELETE: Final = frozenset({"delete"})
_OK, _UNAUTHORIZED, _NOT_FOUND = 200, 401, 404

log = logging.getLogger("kho.remote")


def repository_scope(repository: str, actions: frozenset[str]) -> Scope:
    """What a token must hold for a repository."""
    return Scope("repository", repository, actions)


class Registry:
    """One registry; `async with` closes the connections that it has opened itself."""

    def __init__(
        self,
        name: str,
        *,
        access: Access | None = None,
        lookup: Lookup = anonymous,
        transport: Transport | None = None,
    ) -> None:
        self.host = Host.named(name, access)
        self._lookup = lookup
        self._transport = transport or Transport()
        self._own_transport = transport is None
        self._known: dict[str | None, Credential | None] = {}
        self._tokens = Tokens()
        self._asking = asyncio.Lock()
        self._base: str | None = None
        self._challenge: Challenge | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._own_transport:
            await self._transport.__aexit__(kind, error, trace)

    @property
    def name(self) -> str:
        """As references have it."""
        return self.host.name

    async def url(self, path: str) -> str:
        """The address of a path below /v2/."""
        return f"{await self.base()}/v2/{path}"

    async def base(self) -> str:
        """Scheme and host, found by asking."""
        async with self._asking:
            if self._base is None:
                self._base, self._challenge = await self._greet()
        return self._base

    async def challenge(self) -> Challenge | None:
        """How the registry wants to be asked; None is openly."""
        await self.base()
        return self._challenge

    async def _greet(self) -> tuple[str, Challenge | None]:
        """Try the addresses in turn; a certificate that does not hold is an answer, too."""
        *others, last = self.host.urls
        for address in others:
            if await self._transport.is_plain(address):
                continue
            try:
                return await self._ping(address, quick=True)
            except Unreachable as error:
                log.debug("%s", error)
        return await self._ping(last, quick=False)

    async def _ping(self, address: str, *, quick: bool) -> tuple[str, Challenge | None]:
        request = Request(
            "GET",
            f"{address}/v2/",
            f"ping {self.name}",
            expected=frozenset({_UNAUTHORIZED}),
            once=quick,
        )
        async with self._transport.send(self.host, request) as answer:
            if answer.status == _UNAUTHORIZED:
                return address, _choose(answer, self.name)
            return address, None

    async def login(self, credential: Credential, *, offline: bool = True) -> Token | None:
        """Try a credential; raise LoginNeeded when it is wrong. None where no token is given.

        A token server may give a refresh token (`offline`), to be kept in place of the password.
        """
        challenge = await self.challenge()
        if challenge is None:
            return None
        token = None
        if challenge.scheme == "bearer" and credential.kind is not Kind.REGISTRY_TOKEN:
            asking = auth.ask(self.host, challenge, (), credential, offline=offline)
            token = await self._run(asking)
        await self.try_header(_direct(credential) if token is None else f"Bearer {token.text}")
        return token

    async def try_header(self, header: str) -> None:
        """Ping with an Authorization header; raise LoginNeeded when it is wrong."""
        step = f"login to {self.name}"
        request = Request("GET", await self.url(""), step, {"Authorization": header})
        try:
            async with self._transport.send(self.host, request):
                return
        except LoginNeeded as error:
            words = "this user name and password not accepted"
            if header.startswith("Bearer "):
                words = "the token not accepted"
            raise LoginNeeded(step, error.status, error.codes, words) from error

    @asynccontextmanager
    async def send(self, request: Request, *scopes: Scope) -> AsyncIterator[Answer]:
        """The answer, as Transport.send, with what the registry wants of us."""
        repository = next((one.name for one in scopes if one.type == "repository"), None)
        who = await self._who(repository)
        first = await self._authorized(request, scopes, who)
        again = replace(first, expected=first.expected | {_UNAUTHORIZED})
        async with AsyncExitStack() as stack:
            answer = await stack.enter_async_context(self._transport.send(self.host, again))
            if answer.status == _UNAUTHORIZED:
                wider = await self._renew(answer, scopes, who)
                if isinstance(request.body, AsyncIterator):
                    raise await answer.refusal()  # it is spent; the next request has a new token
                await stack.aclose()
                second = await self._authorized(request, wider, who)
                if second.headers == first.headers:
                    raise self._refusal(request, who)
                try:
                    answer = await stack.enter_async_context(
                        self._transport.send(self.host, second)
                    )
                except LoginNeeded as error:
                    raise self._refusal(request, who) from error
            yield answer

    async def _who(self, repository: str | None) -> Credential | None:
        """Looked up once: where it is kept may be a program."""
        async with self._asking:
            if repository not in self._known:
                self._known[repository] = await self._lookup(self.name, repository)
            return self._known[repository]

    def _refusal(self, request: Request, who: Credential | None) -> LoginNeeded:
        """In words that help: registries say little, and nothing to a HEAD."""
        told = f"not for anonymous requests: log in to {self.name}"
        if who is not None:
            name = f" of {who.username}" if who.username else ""
            told = f"not for the login{name} at {self.name}, or not there"
        return LoginNeeded(request.step, _UNAUTHORIZED, ("UNAUTHORIZED",), told)

    async def _renew(
        self, answer: Answer, scopes: Sequence[Scope], who: Credential | None
    ) -> Sequence[Scope]:
        """Forget what was refused; the scopes that the registry wants to see."""
        self._tokens.forget(scopes, who)
        challenge = _choose(answer, self.name)
        if self._challenge is None:
            self._challenge = challenge
        wanted = parse_scopes([challenge.parameters.get("scope", "")])
        asked = parse_scopes(map(str, (*scopes, *wanted)))
        return scopes if set(asked) == set(scopes) else tuple(asked)

    async def _authorized(
        self, request: Request, scopes: Sequence[Scope], who: Credential | None
    ) -> Request:
        """The request with an Authorization header, where one is due and the address is right."""
        base = urlsplit(await self.base())
        if self._challenge is None or not same_origin(urlsplit(request.url), base):
            return request
        header = await self._header(self._challenge, scopes, who)
        if header is None:
            return request
        return replace(request, headers={**request.headers, "Authorization": header})

    async def _header(
        self, challenge: Challenge, scopes: Sequence[Scope], who: Credential | None
    ) -> str | None:
        if who is not None and (challenge.scheme == "basic" or who.kind is Kind.REGISTRY_TOKEN):
            return _direct(who)
        if challenge.scheme == "basic":
            return None
        async with self._asking:  # many layers at once need one token
            token = self._tokens.find(scopes, who)
            if token is None:
                given = await self._run(auth.ask(self.host, challenge, scopes, who))
                self._tokens.keep(scopes, who, given)
                token = given.text
        return f"Bearer {token}"

    async def _run(self, asking: Asking) -> Token:
        """Carry a token request's messages."""
        try:
            wanted = next(asking)
            while True:
                wanted = asking.send(await self.ask_token_server(wanted))
        except StopIteration as done:
            token: Token = done.value
            return token

    async def ask_token_server(self, wanted: auth.TokenRequest) -> TokenAnswer:
        """Carry one message; whether the address may be asked is checked before (E1)."""
        request = Request(
            wanted.method,
            wanted.url,
            f"token for {self.name}",
            wanted.headers,
            wanted.body,
            expected=frozenset(range(400, 429)),
        )
        async with self._transport.send(self.host, request) as answer:
            return TokenAnswer(answer.status, await answer.read(auth.TOKEN_BYTES))

    async def location(self, answer: Answer, step: str) -> str:
        """Where the registry wants the next request of an upload."""
        text = answer.header("Location")
        if not text:
            raise Garbled(f"{step}: the answer has no Location")
        return urljoin(answer.url, text)


def _choose(answer: Answer, name: str) -> Challenge:
    """Bearer before Basic; others are unknown here."""
    challenges = parse_challenges(answer.headers("WWW-Authenticate"))
    for scheme in ("bearer", "basic"):
        for challenge in challenges:
            if challenge.scheme == scheme:
                return challenge
    told = ", ".join(challenge.scheme for challenge in challenges) or "nothing"
    raise Garbled(f"{name} wants a login by {told}; Bearer and Basic are known here")


def _direct(credential: Credential) -> str:
    if credential.kind is Kind.REGISTRY_TOKEN:
        return f"Bearer {credential.secret}"
    return auth.basic(credential)
