"""Header to principal, and the answer to who may not: called by the dispatcher, never by handlers.

Authorization ──> Bearer ──> tokens.verify, or another server's ──┐
              ├─> Basic ───> logins.authenticate ─────────────────┼──> principal ──> may?
              └─> none ────> a proxy's subject, else anonymous ───┘
"""

import binascii
import hashlib
import time
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from kho.oci.challenge import basic_challenge, bearer_challenge
from kho.oci.errors import Denied, NameInvalid, RegistryError, Unauthorized
from kho.oci.reference import parse_name
from kho.oci.scope import Scope
from kho.server.index import audit, logins
from kho.server.index.audit import Event
from kho.server.index.rights import access
from kho.server.index.tokens import bearer as tokens
from kho.server.index.tokens import credentials, external
from kho.server.index.workloads import workload
from kho.server.policy.access import (
    ANYONE,
    EVERYTHING,
    FREE,
    NOBODY,
    Action,
    Caller,
    Principal,
    allowed,
    granting,
)
from kho.server.policy.identity import Claims, Identity
from kho.server.resources import Resources
from kho.server.web import address, proxied, strangers
from kho.server.web.request import Request

CATALOG_SCOPE: Final = Scope("registry", "catalog", frozenset("*"))
_WORDS: Final = {
    Action.PULL: frozenset({"pull"}),
    Action.PUSH: frozenset({"pull", "push"}),
    Action.DELETE: frozenset({"delete"}),
}
_EMPTY: Final = "Og=="  # Basic of no name and no password
_REMEMBERED: Final = 10_000
_CREDENTIAL_SECONDS: Final = 15.0


@dataclass(slots=True)
class _Tokens:
    """Bearer tokens that were verified, with their principals and ends, until rights change."""

    known: dict[bytes, tuple[Principal, float]] = field(default_factory=dict)


async def admit(resources: Resources, request: Request, action: Action, request_id: str) -> None:
    """Say in `request.caller` who asks; raise unless it may.

    Raises Unauthorized with a challenge, Denied, TooManyRequests or Unavailable.
    """
    where = address.client_address(request.scope, resources.config)
    if action in FREE:
        request.caller = Caller(ANYONE, where, request_id)
        return
    if access.settled(resources):  # nobody has an account: the quickest way for the most callers
        strangers.check(request)
        request.caller = Caller(ANYONE, where, request_id)
        return
    request.caller = Caller(NOBODY, where, request_id)
    repository = request.values.name or None
    try:
        principal = await identify(resources, request, where)
    except Unauthorized as error:
        shown = "invalid_token" if _is_bearer(request) else None
        raise challenged(resources, request, action, error, shown) from None
    request.caller = Caller(principal, where, request_id)
    if not (
        allowed(principal, action, repository)
        or await access.may(resources, principal, action, repository)
    ):
        raise refusal(resources, request, action)


async def identify(resources: Resources, request: Request, where: str) -> Principal:
    """Who asks; raise Unauthorized for credentials that are wrong, Denied for a foreign page."""
    anyone = access.settled(resources)
    if anyone is None:
        await access.refresh(resources)
        anyone = await access.is_open(resources)
    if anyone:
        strangers.check(request)
        return ANYONE
    header = request.header(b"authorization")
    kind, _, value = (header or "").partition(" ")
    value = value.strip()
    if kind.lower() == "bearer" and value:
        return _remembered(resources, value) or await _bearer(resources, value)
    # `docker search` without a login sends empty ones: they are nobody's.
    if kind.lower() == "basic" and value not in ("", _EMPTY):
        name, password = parse_basic(value)
        return await access.principal_of(
            resources, await logins.authenticate(resources, name, password, where)
        )
    told = await proxied.visitor(resources, request)
    if told is not None:
        return told.principal
    return await access.anonymous(resources, shown=False)


def parse_basic(value: str) -> tuple[str, str]:
    """Name and password of a Basic header; raise Unauthorized."""
    try:
        text = b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        raise Unauthorized("the Authorization header is not valid Basic") from None
    name, colon, password = text.partition(":")
    if not colon:
        raise Unauthorized("the Authorization header is not valid Basic")
    return name, password


def _remembered(resources: Resources, token: str) -> Principal | None:
    """Whose token it is, if that was found out before."""
    found = resources.memory.drawer(_Tokens).known.get(_mark(token))
    return found[0] if found is not None and time.time() < found[1] else None


def _mark(token: str) -> bytes:
    return hashlib.sha256(token.encode("latin-1", "replace")).digest()


async def _bearer(resources: Resources, token: str) -> Principal:
    """The principal of a token; verified once, then remembered until rights change or it ends."""
    memory = resources.memory.drawer(_Tokens)
    now = time.time()
    if resources.config.token.realm:
        claims = await external.verify(resources, token)
    else:
        claims = await tokens.verify(resources, token)
    principal = await _principal(resources, claims)
    if len(memory.known) >= _REMEMBERED:
        memory.known.clear()
    until = claims.expires_at
    if claims.credential is not None:  # which may end before its token does
        until = min(until, now + _CREDENTIAL_SECONDS)
    memory.known[_mark(token)] = principal, until
    return principal


async def _principal(resources: Resources, claims: Claims) -> Principal:
    """What a token lets through of what its subject has now."""
    ceilings = (access.ceiling_of(claims.access),)
    catalog = access.sees_catalog(claims.access)
    if not claims.subject:
        found = await access.anonymous(resources)
        return Principal(found.name, found.grants, ceilings, bearer=True, catalog=catalog)
    identity = Identity(claims.subject, claims.source, details={"rule": claims.rule})
    if claims.credential is not None:
        identity = await credentials.of_id(resources, claims.credential)
    if identity.source == "workload" and not await workload.still_trusted(resources, identity):
        raise Unauthorized("the rule that let this workload in is gone")
    return await access.principal_of(
        resources, identity, ceilings=ceilings, bearer=True, catalog=catalog
    )


def _is_bearer(request: Request) -> bool:
    return (request.header(b"authorization") or "").lower().startswith("bearer ")


def refusal(resources: Resources, request: Request, action: Action) -> RegistryError:
    """The answer to a caller who is known, or has not said who it is, and may not."""
    principal = request.caller.principal
    if not principal.shown:
        nobody = Unauthorized("authentication required")
        return challenged(resources, request, action, nobody, None)
    name = request.values.name or None
    # A token without enough scope is an everyday step of the protocol; a lack of rights is not.
    if granting(principal.grants, action, name or EVERYTHING) is None:
        event = Event(
            "refusal",
            "denied",
            principal.name,
            name,
            str(action),
            request.caller.address,
            request.caller.request_id,
        )
        audit.note(resources, event)
    if principal.bearer and resources.config.auth.challenge == "bearer":
        return challenge_for_more(resources, request, action)
    return Denied("requested access to the resource is denied")


def challenge_for_more(resources: Resources, request: Request, action: Action) -> Unauthorized:
    """What is said to a token with too little scope: the client may fetch another."""
    error = Unauthorized("requested access to the resource is denied")
    return challenged(resources, request, action, error, "insufficient_scope")


def challenged(
    resources: Resources,
    request: Request,
    action: Action,
    error: RegistryError,
    reason: str | None,
) -> Unauthorized:
    """The error with the one challenge that tells the client how to come back (section 7.1)."""
    config = resources.config
    scopes = _scopes(request, action)
    if config.token.realm:
        challenge = bearer_challenge(config.token.realm, config.token.service, scopes, reason)
    elif config.auth.challenge == "basic":
        challenge = basic_challenge(config.auth.realm)
    else:
        realm = address.base_url(request.scope, config) + "/token"
        challenge = bearer_challenge(realm, config.auth.service, scopes, reason)
    detail = [
        {"Type": scope.type, "Class": "", "Name": scope.name, "Action": word}
        for scope in scopes
        for word in str(scope).rpartition(":")[2].split(",")
    ]
    headers = (("WWW-Authenticate", challenge),)
    return Unauthorized(error.template, detail=detail or None, headers=headers, **error.values)


def _scopes(request: Request, action: Action) -> Sequence[Scope]:
    """What a token must hold for this request (section 7.2)."""
    if action is Action.CATALOG:
        return [CATALOG_SCOPE]
    words = _WORDS.get(action)
    if words is None or not request.values.name:
        return []
    found = [Scope("repository", request.values.name, words)]
    try:
        source = parse_name(request.query("from") or "")
    except NameInvalid:
        return found
    return [*found, Scope("repository", source, _WORDS[Action.PULL])]
