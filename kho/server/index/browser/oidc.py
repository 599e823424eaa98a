"""Sign-in at an OpenID Connect provider: authorization code with PKCE, and whose account it is.

begin ── state, nonce, verifier kept in a row, for this browser, 10 minutes, one use
   └──> provider ──> finish: code ──> ID token, verified ──> account: by issuer and subject
"""

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from kho.oci.errors import Denied, Unauthorized
from kho.server import telemetry
from kho.server.database.engine import Transaction
from kho.server.database.identities import accounts, groups
from kho.server.database.identities import credentials as rows
from kho.server.database.identities.credentials import NewCredential
from kho.server.identity_settings import OidcSettings
from kho.server.index.audit import Event, note
from kho.server.index.browser import oidc_provider
from kho.server.index.browser.oidc_provider import Provider
from kho.server.index.browser.sessions import From
from kho.server.index.jose import jws
from kho.server.index.sources import htpasswd, ldap
from kho.server.index.tokens import credentials
from kho.server.index.workloads import issuers
from kho.server.policy.identity import Identity
from kho.server.policy.names import is_name
from kho.server.resources import Resources

KIND: Final = "login"
SOURCE: Final = "oidc"
SECONDS: Final = 600
TOKEN_CHARACTERS: Final = 64 * 1024  # ID tokens list groups
MOST_GROUPS: Final = 1000
_ID_BITS: Final = 40
_SUB: Final = re.compile(r"[\x20-\x7e]{1,255}")


class Answer(NamedTuple):
    """What the provider sends the browser back with."""

    state: str
    code: str
    error: str
    issuer: str


class Person(NamedTuple):
    """What a verified ID token says; `admin` None: nothing about that."""

    subject: str
    name: str
    email: str | None
    groups: tuple[str, ...]
    admin: bool | None


class SignedIn(NamedTuple):
    """Who came back, and where they wanted to go."""

    identity: Identity
    return_to: str


def offered(resources: Resources) -> bool:
    """Whether there is a provider."""
    return bool(resources.config.oidc.issuer)


async def begin(resources: Resources, browser: str, redirect_uri: str, return_to: str) -> str:
    """Where the browser is sent. Raises Unavailable."""
    provider = await oidc_provider.discover(resources)
    config = resources.config.oidc
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    kept = {"nonce": nonce, "verifier": verifier, "return_to": return_to}
    new = NewCredential(
        id=0,
        kind=KIND,
        secret_hash=credentials.hash_of(state),
        subject="",
        name=_bound_to(browser),
        ceiling=None,
        details=json.dumps(kept),
        parent_id=None,
        lifetime=None,
        expires_in=SECONDS * 1000,
    )
    await resources.database.write(_keep, new)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    scopes = config.scopes.split()
    query = {
        "response_type": "code",
        "client_id": config.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(scopes if "openid" in scopes else ["openid", *scopes]),
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge.decode(),
        "code_challenge_method": "S256",
    }
    joint = "&" if "?" in provider.authorization_endpoint else "?"
    return provider.authorization_endpoint + joint + urlencode(query)


async def _keep(tx: Transaction, new: NewCredential) -> None:
    while not await rows.add(tx, new._replace(id=secrets.randbits(_ID_BITS) or 1)):
        pass


def _bound_to(browser: str) -> str:
    return hashlib.sha256(f"kho login {browser}".encode()).hexdigest()


async def finish(
    resources: Resources, answer: Answer, browser: str, redirect_uri: str, origin: From
) -> SignedIn:
    """Whose account it is that the provider answers for; made at the first login.

    Raises Unauthorized for an answer that is not believed, Denied for a person without an account
    here, Unavailable when the provider does not work.
    """
    try:
        kept = await _take(resources, answer.state, browser)
        if answer.error:
            telemetry.log_event("oidc: refused by the provider", error=f"{answer.error!a:.100}")
            raise Unauthorized("The sign-in service refused, or you went back: please start again.")
        if answer.issuer and answer.issuer != resources.config.oidc.issuer:
            raise _too_late()
        provider = await oidc_provider.discover(resources)
        tokens = await oidc_provider.exchange(
            resources, provider, answer.code, redirect_uri, str(kept["verifier"])
        )
        claims = await _verify(resources, provider, tokens.get("id_token"), str(kept["nonce"]))
        person = _person(resources.config.oidc, await _with_groups(resources, claims, tokens))
        name = await _admit(resources, provider.issuer, person)
    except (Unauthorized, Denied) as error:
        _tell(resources, origin, "failed", "anonymous", {"via": SOURCE, "reason": error.message})
        raise
    _tell(resources, origin, "allowed", f"user:{name}", {"via": SOURCE})
    return SignedIn(Identity(f"user:{name}", SOURCE), str(kept["return_to"]))


def _tell(
    resources: Resources, origin: From, outcome: str, actor: str, details: Mapping[str, object]
) -> None:
    event = Event(
        "login",
        outcome,
        actor,
        address=origin.address,
        request_id=origin.request_id,
        details=details,
    )
    note(resources, event)


async def _take(resources: Resources, state: str, browser: str) -> dict[str, object]:
    """What was kept for this browser; used up, whoever comes with it."""
    if not state.isascii() or not browser:
        raise _too_late()
    row = await resources.database.write(rows.take, credentials.hash_of(state), KIND)
    if row is None or not secrets.compare_digest(row.name, _bound_to(browser)):
        raise _too_late()
    return credentials.details_of(row)


def _too_late() -> Unauthorized:
    return Unauthorized("This sign-in was started elsewhere, or too long ago: please start again.")


async def _verify(
    resources: Resources, provider: Provider, token: object, nonce: str
) -> dict[str, Any]:
    """The claims of an ID token (OpenID Connect Core 3.1.3.7). Raises Unauthorized."""
    try:
        if not isinstance(token, str):
            raise jws.Untrusted("the provider sent no ID token")
        parsed = jws.parse(token, TOKEN_CHARACTERS)
        key = await issuers.key_for(resources, provider.issuer, parsed)
        jws.check_signature(parsed, key)
        _check_claims(parsed.claims, provider.issuer, resources.config.oidc.client_id, nonce)
    except jws.Untrusted as error:
        telemetry.log_event("oidc: ID token not believed", "warning", reason=str(error))
        raise Unauthorized(
            "The answer of the sign-in service is not valid: please start again."
            " If it happens again, tell your administrator; the log says why."
        ) from error
    return dict(parsed.claims)


def _check_claims(claims: Mapping[str, Any], issuer: str, client_id: str, nonce: str) -> None:
    if claims.get("iss") != issuer:
        raise jws.Untrusted("it is of the issuer %(issuer)s", issuer=ascii(claims.get("iss"))[:200])
    audiences = jws.audiences(claims)
    if client_id not in audiences:
        raise jws.Untrusted("it is for another client")
    if claims.get("azp", client_id if len(audiences) == 1 else None) != client_id:
        raise jws.Untrusted("it was made for another client (azp)")
    jws.check_times(claims, time.time(), ("iat",))
    given = claims.get("nonce")
    if not isinstance(given, str) or not secrets.compare_digest(given.encode(), nonce.encode()):
        raise jws.Untrusted("its nonce is not the one of this login")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not _SUB.fullmatch(subject):
        raise jws.Untrusted("it has no sub")


async def _with_groups(
    resources: Resources, claims: dict[str, Any], tokens: Mapping[str, object]
) -> dict[str, Any]:
    """The claims; what the ID token lacks comes from the provider's user info."""
    config = resources.config.oidc
    if config.groups_claim in claims and config.username_claim in claims:
        return claims
    provider = await oidc_provider.discover(resources)
    more = await oidc_provider.user_info(provider, tokens.get("access_token"))
    return {**more, **claims} if more.get("sub") == claims["sub"] else claims


def _person(config: OidcSettings, claims: Mapping[str, Any]) -> Person:
    email = claims.get("email")
    listed = claims.get(config.groups_claim, [])
    given = [listed] if isinstance(listed, str) else listed
    raw = [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
    name = claims.get(config.username_claim)
    if config.username_claim == "email" and claims.get("email_verified") is False:
        raise Denied("Your address is not verified at the sign-in service: verify it there first.")
    return Person(
        claims["sub"],
        clean_name(name) if isinstance(name, str) else "",
        email if isinstance(email, str) and email.isprintable() else None,
        tuple(sorted({found for one in raw[:MOST_GROUPS] if (found := group_name(one))})),
        config.admin_group in raw if config.admin_group else None,
    )


def clean_name(claim: str) -> str:
    """A user's name from a claim: lower case, `-` for what names do not have; "" for none."""
    cleaned = re.sub(r"[^a-z0-9._@-]+", "-", claim.strip().lower()).strip("-")
    return cleaned if is_name(cleaned) else ""


def group_name(claim: str) -> str:
    """A group's name from a claim; "" for one that cannot be one here, and is left out.

    `/team/web` is `team@web`. No two groups of a provider become one, but for capitals: else
    whoever may make a group there could choose one that is let in here.
    """
    path = claim.removeprefix("/").lower()
    name = "" if "@" in path else path.replace("/", "@")
    return name if is_name(name) else ""


async def _admit(resources: Resources, issuer: str, person: Person) -> str:
    """The account's name; raise Denied for who gets none."""
    external_id = f"{issuer} {person.subject}"
    if await resources.database.read(accounts.by_external_id, external_id) is None:
        await _check_name(resources, person.name)
    return await resources.database.write(_provision, external_id, person)


async def _check_name(resources: Resources, name: str) -> None:
    """Raise Denied unless a new account may have it.

    An account would take the name, and what was granted to it, from users of htpasswd and LDAP.
    """
    if not name:
        claim = resources.config.oidc.username_claim
        raise Denied(
            "The sign-in service sent no name that this registry can use (its claim"
            " %(claim)s). An administrator can choose another claim with"
            " oidc.username_claim.",
            claim=claim,
        )
    listed = await htpasswd.users(resources)
    if listed is not None and any(one.lower() == name for one in listed.hashes):
        raise _taken(name)
    if resources.config.ldap.url and await ldap.groups_of(resources, name) is not None:
        raise _taken(name)


async def _provision(tx: Transaction, external_id: str, person: Person) -> str:
    account = await accounts.by_external_id(tx, external_id)
    if account is None:
        account = await _new_account(tx, external_id, person)
    if account.disabled:
        raise Denied(
            "The account %(name)s is disabled. An administrator can enable it.", name=account.name
        )
    if person.email is not None and person.email != account.email:
        await accounts.set_email(tx, account.name, person.email)
    if person.admin is not None and person.admin != account.admin:
        await accounts.set_admin(tx, account.name, person.admin)
    await groups.replace(tx, account.name, SOURCE, list(person.groups))
    return account.name


async def _new_account(tx: Transaction, external_id: str, person: Person) -> accounts.AccountRow:
    await accounts.add(
        tx,
        person.name,
        source=SOURCE,
        external_id=external_id,
        email=person.email,
        admin=bool(person.admin),
    )
    account = await accounts.by_external_id(tx, external_id)
    if account is None:
        raise _taken(person.name)
    return account


def _taken(name: str) -> Denied:
    return Denied(
        "The name %(name)s belongs to another account here, and accounts are never"
        " joined by name. An administrator can remove that account, or give you"
        " another name at the sign-in service.",
        name=name,
    )
