"""The page behind the one-time link, where the first administrator is made."""

from kho.oci.errors import RegistryError, Unauthorized
from kho.server.index.browser import setup
from kho.server.index.errors import Invalid, Refused
from kho.server.policy.identity import Identity
from kho.server.resources import Resources
from kho.server.web import visits
from kho.server.web.request import Request, Response
from kho.server.web.sign_in import enter
from kho.server.web.ui import render
from kho.server.web.visits import Visit


async def ask(resources: Resources, request: Request) -> Response:
    """The form, for who has the link."""
    here = await visits.visit(resources, request)
    code = request.query("code") or ""
    if not await setup.is_good(resources, code):
        return await _gone(resources, request, here)
    return await _form(resources, request, here, code)


async def redeem(resources: Resources, request: Request) -> Response:
    """Make the account, and sign it in."""
    here, fields = await visits.form(resources, request)
    code, username = fields.get("code", ""), fields.get("username", "").strip()
    password = fields.get("password", "")
    if password != fields.get("again", ""):
        twice = Invalid("The two passwords are not the same.")
        return await _form(resources, request, here, code, twice, username)
    try:
        await setup.redeem(resources, code, username, password, here.origin)
    except Unauthorized:
        return await _gone(resources, request, here)
    except (Refused, RegistryError) as error:
        return await _form(resources, request, here, code, error, username)
    identity = Identity(f"user:{username}", "local")
    return await enter(resources, here, identity, visits.home(resources.config))


async def _form(
    resources: Resources,
    request: Request,
    here: Visit,
    code: str,
    wrong: RegistryError | Refused | None = None,
    username: str = "",
) -> Response:
    status = 400 if wrong else 200
    headers: tuple[tuple[str, str], ...] = ()
    if isinstance(wrong, RegistryError):
        status, headers = wrong.status, wrong.headers
    return await render.page(
        *(resources, request, "setup.html"),
        status=status,
        headers=headers,
        known=here,
        here=visits.SIGN_IN,
        gone=False,
        code=code,
        problem=wrong,
        username=username,
    )


async def _gone(resources: Resources, request: Request, here: Visit) -> Response:
    return await render.page(
        *(resources, request, "setup.html"),
        status=410,
        known=here,
        here=visits.SIGN_IN,
        gone=True,
    )
