"""Answer a registry's challenge, and keep tokens by scope (sections 7, 8 and 10 of the notes).

    401, Basic  ─► name and password, to this registry alone
    401, Bearer ─► realm allowed (E1)? ─► token request ─► token, kept until shortly before its end

How a token is asked for is a generator without I/O: it yields requests and is sent their answers.
"""

import base64
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final
from urllib.parse import SplitResult, urlencode, urlsplit, urlunsplit

from kho.oci.challenge import Challenge
from kho.oci.scope import Scope
from kho.oci.strict_json import JsonRefused, parse_object
from kho.remote.credentials import Credential, Kind
from kho.remote.errors import CredentialsHeld, Garbled, LoginNeeded, told
from kho.remote.hosts import Host, hostname, is_loopback

CLIENT_ID: Final = "kho"
# A token server that does not say how long means this.
DEFAULT_SECONDS: Final = 60.0
# It must still be good when the request arrives.
MARGIN_SECONDS: Final = 10.0
TOKEN_BYTES: Final = 1024 * 1024
FORM: Final = "application/x-www-form-urlencoded"
_OK: Final = 200
# GHCR says 403 to a wrong secret, ACR 400 to a grant that it does not want.
_NOT_ACCEPTED: Final = frozenset({400, 401, 403})
# GET does what POST could not, or could not be asked for.
_NO_POST: Final = frozenset({404, 405})


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One request to a token server."""

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What came back."""

    status: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token; `refresh` is what `login` keeps in place of the password."""

    text: str = field(repr=False)
    seconds: float
    refresh: str | None = field(default=None, repr=False)


Asking = Generator[TokenRequest, TokenAnswer, Token]


def basic(credential: Credential) -> str:
    """The Authorization header of a name and a password."""
    pair = f"{credential.username}:{credential.secret}".encode()
    return "Basic " + base64.b64encode(pair).decode("ascii")


def ask(
    host: Host,
    challenge: Challenge,
    scopes: Sequence[Scope],
    credential: Credential | None,
    *,
    offline: bool = False,
) -> Asking:
    """Get a token; `offline` asks for a refresh token too.

    Raises CredentialsHeld, LoginNeeded, Garbled.
    """
    realm = check_realm(host, challenge.parameters.get("realm", ""), credential)
    service = challenge.parameters.get("service", "")
    fields = [("service", service)] if service else []
    fields += [("scope", str(scope)) for scope in scopes]
    if credential is not None and credential.kind is Kind.IDENTITY_TOKEN:
        return (yield from _refresh(host, realm, fields, credential))
    headers: dict[str, str] = {}
    if credential is not None:
        headers["Authorization"] = basic(credential)
        fields.append(("account", credential.username))
    fields.append(("client_id", CLIENT_ID))
    if offline:
        fields.append(("offline_token", "true"))
    answer = yield TokenRequest("GET", _with_query(realm, fields), headers)
    return _token(host, realm, answer, credential)


def _refresh(
    host: Host, realm: SplitResult, fields: list[tuple[str, str]], credential: Credential
) -> Asking:
    """The OAuth2 form, which alone takes refresh tokens; scopes in one field, space between."""
    scopes = " ".join(value for key, value in fields if key == "scope")
    form = [(key, value) for key, value in fields if key != "scope"]
    form += [("scope", scopes)] if scopes else []
    form += [
        ("grant_type", "refresh_token"),
        ("client_id", CLIENT_ID),
        ("refresh_token", credential.secret),
    ]
    body = urlencode(form).encode("ascii")
    answer = yield TokenRequest("POST", realm.geturl(), {"Content-Type": FORM}, body)
    if answer.status in _NO_POST:
        raise Garbled(
            f"{realm.netloc} does not take the identity token that is kept for {host.name}:"
            " log in again with a password or an access token"
        )
    return _token(host, realm, answer, credential)


def _token(
    host: Host, realm: SplitResult, answer: TokenAnswer, credential: Credential | None
) -> Token:
    where = f"token for {host.name} from {realm.netloc}"
    if answer.status in _NOT_ACCEPTED:
        who = "anonymous requests" if credential is None else "this user name and password"
        if credential is not None and credential.kind is Kind.IDENTITY_TOKEN:
            who = "the identity token that is kept"
        said = told(answer.body)
        words = f"{who} not accepted: {said}" if said else f"{who} not accepted"
        raise LoginNeeded(where, answer.status, ("UNAUTHORIZED",), words)
    if answer.status != _OK:
        raise Garbled(f"{where}: status {answer.status}")
    return read_token(answer.body, where)


def read_token(body: bytes, where: str) -> Token:
    """The token in a good answer; raise Garbled where there is none."""
    try:
        value = parse_object(body)
    except JsonRefused as error:
        raise Garbled(f"{where}: {error}") from error
    text = value.get("token") or value.get("access_token")
    if not isinstance(text, str) or not text.isascii() or not text.isprintable():
        raise Garbled(f"{where}: the answer holds no token")
    seconds, refresh = value.get("expires_in"), value.get("refresh_token")
    lasts = float(seconds) if isinstance(seconds, int) and seconds > 0 else DEFAULT_SECONDS
    return Token(
        text, max(lasts, DEFAULT_SECONDS), refresh if isinstance(refresh, str) and refresh else None
    )


def _with_query(realm: SplitResult, fields: Iterable[tuple[str, str]]) -> str:
    query = "&".join(filter(None, (realm.query, urlencode(list(fields)))))
    return urlunsplit(realm._replace(query=query))


def check_realm(host: Host, realm: str, credential: Credential | None) -> SplitResult:
    """The realm's address; raise unless it may be asked, and told the credential (E1)."""
    try:
        url = urlsplit(realm)
        _ = url.port
    except ValueError:
        url = urlsplit("")
    name = url.hostname or ""
    plain = realm.isascii() and realm.isprintable() and " " not in realm
    if url.scheme not in ("http", "https") or not name or url.username is not None or not plain:
        raise Garbled(f"{host.name} names no token server that could be asked: {realm!a:.200}")
    own = {hostname(urlsplit(address).netloc) for address in host.urls}
    if name in own or (is_loopback(name) and any(map(is_loopback, own))):
        trusted = True
    else:
        trusted = name in host.access.auth_hosts or any(_related(name, one) for one in own)
        # A registry may send nobody to a service of his own machine or network.
        if url.scheme != "https" and not host.access.plain_http:
            raise CredentialsHeld(f"{host.name} sends to a token server without TLS: {realm:.200}")
    secure = url.scheme == "https" or host.plain
    if credential is not None and not (trusted and secure):
        raise CredentialsHeld(
            f"{host.name} asks for its credentials at {url.scheme}://{url.netloc}, outside its own"
            f" domain; allow that with --auth-host {name} if it is right"
        )
    return url._replace(fragment="")


def _related(one: str, other: str) -> bool:
    """Whether two names belong to one registrable domain, as registry.gitlab.com and gitlab.com."""
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415

    if one.replace(".", "").isdigit() or ":" in one:
        return False
    suffixes = PublicSuffixList()
    domain = suffixes.privatesuffix(one)
    return domain is not None and domain == suffixes.privatesuffix(other)


class Tokens:
    """Tokens of one registry, each until shortly before its end."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, ...], tuple[str, float]] = {}

    def find(self, scopes: Sequence[Scope], who: Credential | None) -> str | None:
        """A token that was given for exactly these scopes."""
        text, ends = self._kept.get(self._key(scopes, who), ("", 0.0))
        return text if self._clock() < ends else None

    def keep(self, scopes: Sequence[Scope], who: Credential | None, token: Token) -> None:
        """Until it ends."""
        ends = self._clock() + max(token.seconds - MARGIN_SECONDS, token.seconds / 2)
        self._kept[self._key(scopes, who)] = token.text, ends

    def forget(self, scopes: Sequence[Scope], who: Credential | None) -> None:
        """It was refused."""
        self._kept.pop(self._key(scopes, who), None)

    def _key(self, scopes: Sequence[Scope], who: Credential | None) -> tuple[str, ...]:
        name = () if who is None else (who.username, who.kind.value)
        return (*sorted(map(str, scopes)), *name)
