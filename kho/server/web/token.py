"""GET and POST /token: who one is becomes a token for what one may do (section 8).

GET   Basic or nothing                                      ─┐
POST  password | refresh_token | token-exchange | device     ┼─> identity ─> rights ─> token
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import parse_qs

from kho.oci.challenge import basic_challenge
from kho.oci.errors import (
    InvalidRequest,
    RegistryError,
    RouteUnknown,
    TooManyRequests,
    Unauthorized,
)
from kho.oci.scope import Scope, parse_scopes
from kho.server.index import audit, logins
from kho.server.index.audit import Event
from kho.server.index.browser import devices
from kho.server.index.rights import access
from kho.server.index.tokens import bearer as tokens
from kho.server.index.tokens import credentials, keys
from kho.server.index.workloads import workload
from kho.server.policy.access import ANYONE
from kho.server.policy.identity import Identity
from kho.server.resources import Resources
from kho.server.web import auth
from kho.server.web.request import QUERY_FIELDS, Request, Response
from kho.server.web.v2.answers import json_answer

FORM_BYTES: Final = 65_536
MOST_SCOPES: Final = 64
HOUR: Final = 3600.0
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  a name
_NO_STORE: Final = ("Cache-Control", "no-store")
# What RFC 8628 answers with 400 while a person has not decided.
_UNDECIDED: Final = {"authorization_pending", "slow_down", "expired_token", "access_denied"}

Fields = Mapping[str, list[str]]


async def get(resources: Resources, request: Request) -> Response:
    """The form that every client knows: query parameters, and Basic or nobody."""
    _check_built_in(resources)
    _check_service(resources, request.query("service"))
    scopes = _scopes(request.query_all("scope"))
    await access.refresh(resources)
    identity = None
    header = request.header(b"authorization") or ""
    kind, _, pair = header.partition(" ")
    if kind.lower() == "basic" and pair.strip():
        try:
            identity = await logins.authenticate(
                resources, *auth.parse_basic(pair.strip()), request.caller.address
            )
        except Unauthorized as error:
            challenge = basic_challenge(resources.config.auth.realm)
            raise Unauthorized(error.message, headers=(("WWW-Authenticate", challenge),)) from None
    offline = request.query("offline_token") in ("true", "1")
    client = request.query("client_id") or ""
    value = await _issued(resources, request, identity, scopes, client if offline else None)
    return json_answer(200, value, _NO_STORE)


async def post(resources: Resources, request: Request) -> Response:
    """The OAuth form: errors carry `error` for OAuth clients and `errors` for the others."""
    _check_built_in(resources)
    await access.refresh(resources)
    try:
        fields = await _form(request)
        _check_service(resources, _one(fields, "service"))
        scopes = _scopes(fields.get("scope", []))
        grant = _one(fields, "grant_type") or ""
        if grant not in _GRANTS:
            raise InvalidRequest(
                "grant_type %(grant)s is not offered; allowed are %(allowed)s",
                grant=ascii(grant[:64]),
                allowed=", ".join(_GRANTS),
                detail="unsupported_grant_type",
            )
        identity = await _GRANTS[grant](resources, request, fields)
        offline = _one(fields, "access_type") == "offline" and grant != "refresh_token"
        client = _one(fields, "client_id") or ""
        value = await _issued(resources, request, identity, scopes, client if offline else None)
    except (InvalidRequest, Unauthorized, TooManyRequests) as error:
        return _oauth_error(error)
    if grant == "refresh_token":
        value["refresh_token"] = _one(fields, "refresh_token")
    if grant == EXCHANGE:
        value["issued_token_type"] = ACCESS_TOKEN
    return json_answer(200, value, _NO_STORE)


async def jwks(resources: Resources, request: Request) -> Response:  # noqa: ARG001
    """The public keys of the tokens, for whoever wants to check them too."""
    _check_built_in(resources)
    return json_answer(200, await keys.jwks(resources), ("Cache-Control", "max-age=60"))


def _check_built_in(resources: Resources) -> None:
    realm = resources.config.token.realm
    if realm:
        raise RouteUnknown("tokens are issued elsewhere", detail={"realm": realm})


def _check_service(resources: Resources, service: str | None) -> None:
    known = resources.config.auth.service
    if service not in (None, "", known):
        raise InvalidRequest(
            "unknown service; allowed is %(known)s", known=known, detail="invalid_request"
        )


def _scopes(values: list[str]) -> list[Scope]:
    found = parse_scopes(values)
    if len(found) > MOST_SCOPES:
        raise InvalidRequest(
            "at most %(most)s scopes in one token", most=MOST_SCOPES, detail="invalid_scope"
        )
    return found


async def _form(request: Request) -> Fields:
    kind = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        text = "the body must be application/x-www-form-urlencoded"
        raise InvalidRequest(text, detail="invalid_request")
    too_large = InvalidRequest(
        "forms are at most %(most)s bytes", most=FORM_BYTES, detail="invalid_request"
    )
    body = await request.body(FORM_BYTES, too_large)
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=QUERY_FIELDS)
    except ValueError:
        text = f"the form is not UTF-8, or has more than {QUERY_FIELDS} fields"
        raise InvalidRequest(text, detail="invalid_request") from None


def _one(fields: Fields, name: str) -> str | None:
    found = fields.get(name)
    return found[0] if found else None


def _required(fields: Fields, name: str) -> str:
    found = _one(fields, name)
    if not found:
        raise InvalidRequest("%(name)s is missing", name=name, detail="invalid_request")
    return found


async def _by_password(resources: Resources, request: Request, fields: Fields) -> Identity:
    name, password = _required(fields, "username"), _required(fields, "password")
    return await logins.authenticate(resources, name, password, request.caller.address)


async def _by_refresh(
    resources: Resources,
    request: Request,  # noqa: ARG001  as the other grants
    fields: Fields,
) -> Identity:
    secret = _required(fields, "refresh_token")
    identity = await credentials.identify(resources, secret, ("refresh",))
    if not await logins.still_there(resources, identity):
        raise Unauthorized("the account is gone")
    return identity


async def _by_exchange(resources: Resources, request: Request, fields: Fields) -> Identity:
    """RFC 8693: a workload's ID token, or one of our access tokens."""
    token = _required(fields, "subject_token")
    if workload.looks_like(token) or credentials.looks_like(token):
        return await logins.authenticate(resources, "", token, request.caller.address)
    raise InvalidRequest(
        "subject_token is neither a JWT nor an access token", detail="invalid_request"
    )


async def _by_device(
    resources: Resources,
    request: Request,  # noqa: ARG001  as the other grants
    fields: Fields,
) -> Identity:
    return await devices.redeem(resources, _required(fields, "device_code"))


_GRANTS: Final[Mapping[str, Callable[[Resources, Request, Fields], Awaitable[Identity]]]] = {
    "password": _by_password,
    "refresh_token": _by_refresh,
    EXCHANGE: _by_exchange,
    DEVICE: _by_device,
}


async def _issued(
    resources: Resources,
    request: Request,
    identity: Identity | None,
    scopes: list[Scope],
    client: str | None,
) -> dict[str, object]:
    """The answer; with a refresh token when `client` names who keeps it.

    What the caller lacks is left out of the token, it is no error: the registry refuses then.
    """
    if await access.is_open(resources):
        principal = ANYONE
    elif identity is None:
        principal = await access.anonymous(resources)
    else:
        principal = await access.principal_of(resources, identity)
    granted = await access.granted(resources, principal, scopes)
    issued = await tokens.issue(
        resources,
        subject=identity.subject if identity else "",
        source=identity.source if identity else "local",
        credential=identity.credential if identity else None,
        access=granted,
        rule=workload.rule_of(identity) if identity else None,
    )
    text = " ".join(map(str, granted))
    caller = request.caller
    event = Event(
        "token.issue", "allowed", principal.name, None, text, caller.address, caller.request_id
    )
    audit.note(resources, event)
    value: dict[str, object] = {
        "token": issued.token,
        "access_token": issued.token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "issued_at": issued.issued_at,
    }
    if identity is not None and client is not None:
        secret = await _refresh_token(resources, identity, client)
        if secret is not None:
            value["refresh_token"] = secret
    if request.method == "POST":
        value["scope"] = text
    return value


async def _refresh_token(resources: Resources, identity: Identity, client: str) -> str | None:
    """A workload's ends at a fixed time, a person's some time after its last use."""
    of_workload = identity.source == "workload"
    settings = resources.config.auth
    hours = settings.workload_hours if of_workload else settings.refresh_hours
    if not hours:
        return None
    return await credentials.create(
        resources,
        kind="refresh",
        subject=identity.subject,
        name=client[:128] or "unknown",
        ceiling=identity.ceiling,
        expires_seconds=hours * HOUR,
        sliding=not of_workload,
        parent=identity.credential,
        details={**(identity.details or {}), "source": identity.source},
    )


def _oauth_error(error: RegistryError) -> Response:
    """Both spellings of an error, so that every client finds the one it knows."""
    status, code = error.status, "invalid_grant"
    if isinstance(error.detail, str):
        code = error.detail
    if isinstance(error, TooManyRequests):
        code = "slow_down"
    elif code in _UNDECIDED:
        status = 400
    value = {"error": code, "error_description": error.message, "errors": error.entries()}
    answer = json_answer(status, json.loads(json.dumps(value)), _NO_STORE)
    answer.headers.extend((k.lower().encode(), v.encode()) for k, v in error.headers)
    return answer
