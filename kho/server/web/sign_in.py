"""Pages where people sign in and out, with a password or at an OpenID Connect provider."""

from typing import Final

from kho.oci.errors import RegistryError, RouteUnknown, TooManyRequests, Unauthorized
from kho.server.index import logins
from kho.server.index.browser import oidc, rates, sessions, setup
from kho.server.index.tokens import credentials
from kho.server.index.workloads import workload
from kho.server.policy.access import Action, allowed
from kho.server.policy.identity import Identity
from kho.server.resources import Resources
from kho.server.web import visits
from kho.server.web.redirects import redirect
from kho.server.web.request import Request, Response
from kho.server.web.ui import render
from kho.server.web.v2.answers import json_answer
from kho.server.web.visits import Visit

CALLBACK: Final = "/auth/oidc/callback"
_NO_STORE: Final = ("Cache-Control", "no-store")


async def login_page(resources: Resources, request: Request) -> Response:
    """The form; for who has signed in, the way on or out."""
    here = await visits.visit(resources, request)
    home = visits.home(resources.config)
    back = visits.return_path(request.query("next"), home)
    if here.visitor is None:
        return await _login(resources, request, here, back)
    if back != visits.SIGN_IN:
        return redirect(back)
    return await render.page(resources, request, "signed_in.html", known=here)


def _is_admin(here: Visit) -> bool:
    return here.visitor is not None and allowed(here.visitor.principal, Action.ADMIN, None)


async def _login(
    resources: Resources,
    request: Request,
    here: Visit,
    back: str,
    error: RegistryError | None = None,
    username: str = "",
) -> Response:
    """The page with the form; `error` says why it is shown again."""
    offered = oidc.offered(resources)
    return await render.page(
        *(resources, request, "sign_in.html"),
        status=error.status if error else 200,
        headers=error.headers if error else (),
        known=here,
        here=visits.SIGN_IN,
        next=back,
        problem=error,
        username=username,
        provider=(resources.config.oidc.label or "Single sign-on") if offered else "",
        first_run=await setup.is_needed(resources),
    )


async def login(resources: Resources, request: Request) -> Response:
    """Name and password."""
    here, fields = await visits.form(resources, request)
    back = visits.return_path(fields.get("next"), visits.home(resources.config))
    username = fields.get("username", "").strip()
    try:
        identity = await _identity(resources, here, username, fields.get("password", ""))
    except _NotHere:
        told = Unauthorized(
            "Access tokens are for clients. Sign in here with your password or at the sign-in"
            " service."
        )
        return await _login(resources, request, here, back, told, username)
    except Unauthorized:  # what is wrong exactly is nobody's business
        told = Unauthorized("Wrong username or password.")
        return await _login(resources, request, here, back, told, username)
    except RegistryError as error:
        shown = _waiting(error) if isinstance(error, TooManyRequests) else error
        return await _login(resources, request, here, back, shown, username)
    return await enter(resources, here, identity, back)


class _NotHere(Exception):
    """A token in place of a password."""


async def _identity(resources: Resources, here: Visit, username: str, password: str) -> Identity:
    """Whose password it is. A token's holder would get more from a session than from the token."""
    if credentials.looks_like(password) or workload.looks_like(password):
        raise _NotHere
    identity = await logins.authenticate(resources, username, password, here.origin.address)
    if identity.ceiling is not None or not identity.subject.startswith("user:"):
        raise _NotHere
    return identity


def _waiting(error: TooManyRequests) -> TooManyRequests:
    seconds = int(dict(error.headers).get("Retry-After", "1"))
    return TooManyRequests(
        "Too many attempts: please wait %(seconds)s s, and try again.",
        seconds=seconds,
        retry_after=seconds,
    )


async def enter(resources: Resources, here: Visit, identity: Identity, back: str) -> Response:
    """Begin a session, in place of the one before, and go on."""
    if here.visitor is not None and here.session:
        await sessions.end(resources, here.visitor, here.origin)
    secret = await sessions.begin(resources, identity, here.origin)
    return redirect(back, here.keep(secret))


async def logout(resources: Resources, request: Request) -> Response:
    """The session ends here and now, not only in this browser."""
    here, _ = await visits.form(resources, request)
    if here.visitor is not None:
        await sessions.end(resources, here.visitor, here.origin)
    return redirect(visits.home(resources.config), here.forget())


async def session(resources: Resources, request: Request) -> Response:
    """Who the browser is signed in as, in JSON."""
    here = await visits.visit(resources, request)
    if here.visitor is None:
        return json_answer(200, {"user": None}, _NO_STORE)
    user = {
        "name": here.visitor.name,
        "source": here.visitor.identity.source,
        "admin": _is_admin(here),
    }
    return json_answer(200, {"user": user}, _NO_STORE)


async def provider_login(resources: Resources, request: Request) -> Response:
    """Off to the provider."""
    _check_offered(resources, request)
    here = await visits.visit(resources, request)
    await rates.check(resources, rates.BEGIN_LOGIN, here.origin.address)
    back = visits.return_path(request.query("next"), visits.home(resources.config))
    url = await oidc.begin(resources, here.browser, here.base + CALLBACK, back)
    await rates.spend(resources, rates.BEGIN_LOGIN, here.origin.address)
    return redirect(url, *here.cookies())


async def provider_callback(resources: Resources, request: Request) -> Response:
    """Back from the provider."""
    _check_offered(resources, request)
    here = await visits.visit(resources, request)
    parts = (request.query(key) or "" for key in ("state", "code", "error", "iss"))
    answer = oidc.Answer(*parts)
    try:
        found = await oidc.finish(
            resources,
            answer,
            "" if here.new else here.browser,
            here.base + CALLBACK,
            here.origin,
        )
    except RegistryError as error:
        return await render.page(
            *(resources, request, "not_signed_in.html"),
            status=error.status,
            headers=error.headers,
            known=here,
            here=visits.SIGN_IN,
            told=error,
        )
    back = visits.return_path(found.return_to, visits.home(resources.config))
    return await enter(resources, here, found.identity, back)


def _check_offered(resources: Resources, request: Request) -> None:
    if not oidc.offered(resources):
        raise RouteUnknown("no such path in this registry", detail={"path": request.path[:256]})
