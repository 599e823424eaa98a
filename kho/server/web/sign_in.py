"""Pages where people sign in and out, with a password or at an OpenID Connect provider."""

from typing import Final
from urllib.parse import quote

from kho.oci.errors import RegistryError, RouteUnknown, TooManyRequests, Unauthorized
from kho.server.index import logins
from kho.server.index.browser import oidc, rates, sessions
from kho.server.index.tokens import credentials
from kho.server.index.workloads import workload
from kho.server.policy.access import Action, allowed
from kho.server.policy.identity import Identity
from kho.server.resources import Resources
from kho.server.web import visits
from kho.server.web.pages import fill, problem, redirect
from kho.server.web.request import Request, Response
from kho.server.web.v2.answers import json_answer
from kho.server.web.visits import Visit

CALLBACK: Final = "/auth/oidc/callback"
_NO_STORE: Final = ("Cache-Control", "no-store")
_FORM: Final = """<form method="post" action="/auth/login">
<input type="hidden" name="token" value="{token}">
<input type="hidden" name="next" value="{next}">
<label for="username">Username</label>
<input id="username" name="username" value="{username}" autocomplete="username" \
autocapitalize="none" spellcheck="false" maxlength="128" required>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" \
maxlength="1024" required>
<button>Sign in</button>
</form>"""
_PROVIDER: Final = """<p class="or">or</p>
<a class="button plain" href="/auth/oidc/login?next={next}">{label}</a>"""
_SIGNED_IN: Final = """<p>You are signed in as <b>{name}</b>{role}.</p>
<form method="post" action="/auth/logout">
<input type="hidden" name="token" value="{token}">
<button class="plain">Sign out</button>
</form>"""
_PASSWORD_ONLY: Final = (
    "Access tokens are for clients. Sign in here with your password or at the sign-in service."  # noqa: S105
)


@visits.shown
async def login_page(resources: Resources, request: Request) -> Response:
    """The form; for who has signed in, the way on or out."""
    here = await visits.visit(resources, request)
    back = visits.return_path(request.query("next"))
    if here.visitor is None:
        return _login(resources, here, back)
    if back != visits.HOME:
        return redirect(back)
    role = ", an administrator" if _is_admin(here) else ""
    body = fill(_SIGNED_IN, name=here.visitor.name, role=role, token=here.token)
    return here.page(200, "Signed in", body)


def _is_admin(here: Visit) -> bool:
    return here.visitor is not None and allowed(here.visitor.principal, Action.ADMIN, None)


def _login(
    resources: Resources,
    here: Visit,
    back: str,
    error: RegistryError | None = None,
    username: str = "",
) -> Response:
    """The page with the form; `error` says why it is shown again."""
    parts = [
        problem(error.message if error else ""),
        fill(_FORM, token=here.token, next=back, username=username),
    ]
    if oidc.offered(resources):
        label = resources.config.oidc.label or "Single sign-on"
        parts.append(fill(_PROVIDER, next=quote(back, safe=""), label=label))
    status = error.status if error else 200
    return here.page(status, "Sign in", *parts, headers=error.headers if error else ())


@visits.shown
async def login(resources: Resources, request: Request) -> Response:
    """Name and password."""
    here, fields = await visits.form(resources, request)
    back = visits.return_path(fields.get("next"))
    username = fields.get("username", "").strip()
    try:
        identity = await _identity(resources, here, username, fields.get("password", ""))
    except Unauthorized as error:
        told = error.message if error.message == _PASSWORD_ONLY else "Wrong username or password."
        return _login(resources, here, back, Unauthorized(told), username)
    except RegistryError as error:
        shown = _waiting(error) if isinstance(error, TooManyRequests) else error
        return _login(resources, here, back, shown, username)
    return await enter(resources, here, identity, back)


async def _identity(resources: Resources, here: Visit, username: str, password: str) -> Identity:
    """Whose password it is. A token's holder would get more from a session than from the token."""
    if credentials.looks_like(password) or workload.looks_like(password):
        raise Unauthorized(_PASSWORD_ONLY)
    identity = await logins.authenticate(resources, username, password, here.origin.address)
    if identity.ceiling is not None or not identity.subject.startswith("user:"):
        raise Unauthorized(_PASSWORD_ONLY)
    return identity


def _waiting(error: TooManyRequests) -> TooManyRequests:
    seconds = int(dict(error.headers).get("Retry-After", "1"))
    return TooManyRequests(
        f"Too many attempts: please wait {seconds} s, and try again.", retry_after=seconds
    )


async def enter(resources: Resources, here: Visit, identity: Identity, back: str) -> Response:
    """Begin a session, in place of the one before, and go on."""
    if here.visitor is not None:
        await sessions.end(resources, here.visitor, here.origin)
    secret = await sessions.begin(resources, identity, here.origin)
    return redirect(back, here.keep(secret))


@visits.shown
async def logout(resources: Resources, request: Request) -> Response:
    """The session ends here and now, not only in this browser."""
    here, _ = await visits.form(resources, request)
    if here.visitor is not None:
        await sessions.end(resources, here.visitor, here.origin)
    return redirect(visits.HOME, here.forget())


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


@visits.shown
async def provider_login(resources: Resources, request: Request) -> Response:
    """Off to the provider."""
    _check_offered(resources, request)
    here = await visits.visit(resources, request)
    await rates.check(resources, rates.BEGIN_LOGIN, here.origin.address)
    back = visits.return_path(request.query("next"))
    url = await oidc.begin(resources, here.browser, here.base + CALLBACK, back)
    await rates.spend(resources, rates.BEGIN_LOGIN, here.origin.address)
    return redirect(url, *here.cookies())


@visits.shown
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
        again = fill('<a class="button" href="{home}">Start again</a>', home=visits.HOME)
        return here.page(
            error.status, "Not signed in", problem(error.message), again, headers=error.headers
        )
    return await enter(resources, here, found.identity, visits.return_path(found.return_to))


def _check_offered(resources: Resources, request: Request) -> None:
    if not oidc.offered(resources):
        raise RouteUnknown("no such path in this registry", detail={"path": request.path[:256]})
