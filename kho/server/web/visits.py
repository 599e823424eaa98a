"""A browser's visit: its cookies, who it is, and whether a form comes from a page of ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlsplit

from kho.oci.errors import Denied, SizeInvalid, Unauthorized
from kho.server.config import Config
from kho.server.index.browser import sessions
from kho.server.index.browser.sessions import From, Visitor
from kho.server.index.rights import access
from kho.server.resources import Resources
from kho.server.web import proxied
from kho.server.web.address import base_url
from kho.server.web.request import Request

FORM_BYTES: Final = 16 * 1024
FORM_FIELDS: Final = 32
SIGN_IN: Final = "/auth/login"
# A path of ours. Not `//host` or `/\host`, which browsers take for another server's.
_RETURN: Final = re.compile(r"/(?![/\\])[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,1000}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a browser. `session` is "" for who has not signed in here."""

    base: str
    browser: str
    session: str
    visitor: Visitor | None
    origin: From
    new: bool

    @property
    def secure(self) -> bool:
        """Whether the browser speaks TLS with us."""
        return self.base.startswith("https:")

    @property
    def host(self) -> str:
        """What the person calls this registry."""
        return urlsplit(self.base).netloc

    @property
    def token(self) -> str:
        """For the forms of this page."""
        return sessions.form_token(self.session or self.browser)

    def cookies(self) -> tuple[tuple[str, str], ...]:
        """Headers that make the browser known."""
        return (self.cookie(_browser_name(self.base), self.browser),) if self.new else ()

    def keep(self, secret: str) -> tuple[str, str]:
        """The header that signs the browser in."""
        return self.cookie(_session_name(self.base), secret)

    def forget(self) -> tuple[str, str]:
        """The header that takes the session's cookie away."""
        return self.cookie(_session_name(self.base), "", "; Max-Age=0")

    def cookie(self, name: str, value: str, more: str = "") -> tuple[str, str]:
        """The header that sets a cookie for this host alone."""
        secure = "; Secure" if self.secure else ""
        return "set-cookie", f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}"


def _session_name(base: str) -> str:
    """With `__Host-` no other host, and nothing without TLS, can set the cookie."""
    return "__Host-kho" if base.startswith("https:") else "kho"


def _browser_name(base: str) -> str:
    return f"{_session_name(base)}-browser"


def cookie(request: Request, name: str) -> str:
    """The value of a cookie; "" where there is none, or one that is not plain text."""
    for part in (request.header(b"cookie") or "").replace(",", ";").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name and value.isascii() and value.isprintable():
            return value
    return ""


async def visit(resources: Resources, request: Request) -> Visit:
    """Who comes, as far as cookies tell."""
    base = base_url(request.scope, resources.config)
    secret = cookie(request, _session_name(base))
    visitor = await sessions.find(resources, secret)
    if visitor is not None:
        return _visit(request, base, secret, visitor)
    return _visit(request, base, "", await _proxied(resources, request))


async def _proxied(resources: Resources, request: Request) -> Visitor | None:
    """Whom a trusted proxy names; who is not known here may sign in as somebody who is."""
    if await access.is_open(resources):
        return None
    try:
        return await proxied.visitor(resources, request)
    except Unauthorized:
        return None


def stranger(request: Request, config: Config) -> Visit:
    """Who comes, where nobody can be asked whose session it is."""
    return _visit(request, base_url(request.scope, config), "", None)


def _visit(request: Request, base: str, secret: str, visitor: Visitor | None) -> Visit:
    browser = cookie(request, _browser_name(base))
    caller = request.caller
    origin = From(caller.address, caller.request_id, request.header(b"user-agent") or "")
    return Visit(
        base,
        browser or sessions.new_browser(),
        secret,
        visitor,
        origin,
        new=not browser,
    )


async def form(
    resources: Resources, request: Request, most: int = FORM_BYTES
) -> tuple[Visit, Mapping[str, str]]:
    """A form that was sent from a page of ours, and who sent it. Raises Denied."""
    fields = await plain_form(request, most)
    here = await visit(resources, request)
    check_origin(request, here.base)
    if here.new and not here.session:
        raise Denied("Your browser sent no cookies: allow them for this site, and try again.")
    if not sessions.same(fields.get("token", ""), here.token):
        raise Denied("This page was too old: go back, reload it and try again.")
    return here, fields


async def plain_form(request: Request, most: int = FORM_BYTES) -> dict[str, str]:
    """The fields of a form, whoever sent it; the first of those that come twice."""
    media_type = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise Denied("A form is expected here: application/x-www-form-urlencoded.")
    too_large = SizeInvalid("a form has at most %(most)s bytes", most=most)
    body = await request.body(most, too_large)
    try:
        found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS)
    except ValueError:
        raise Denied("The form cannot be read.") from None
    return {key: values[0] for key, values in found.items()}


def check_origin(request: Request, base: str) -> None:
    """Raise Denied for what another site's page sends; browsers say it in one of two headers."""
    site = request.header(b"sec-fetch-site")
    origin = request.header(b"origin")
    own = site == "same-origin" if site is not None else origin == base
    if not own:
        raise Denied("This was sent from a page of another site, and nothing was done.")


def check_request(request: Request, here: Visit) -> None:
    """Raise Denied unless a script of our own pages sent this, in this browser's session."""
    check_origin(request, here.base)
    if not sessions.same(request.header(b"x-kho-token") or "", here.token):
        raise Denied("the header X-Kho-Token is missing or wrong; pages of ours carry its value")


def home(config: Config) -> str:
    """Where one lands after signing in."""
    return "/" if config.index.enabled else SIGN_IN


def return_path(text: str | None, otherwise: str) -> str:
    """Where to go after signing in: a path here, whatever the link said, and not the same form."""
    known = text if text and _RETURN.fullmatch(text) else otherwise
    return otherwise if known.partition("?")[0] == SIGN_IN else known
