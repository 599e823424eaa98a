"""The page behind the one-time link, where the first administrator is made."""

from typing import Final

from kho.oci.errors import RegistryError, Unauthorized
from kho.server.index.browser import setup
from kho.server.index.errors import Refused
from kho.server.policy.identity import Identity
from kho.server.resources import Resources
from kho.server.web import visits
from kho.server.web.pages import fill, problem
from kho.server.web.request import Request, Response
from kho.server.web.sign_in import enter
from kho.server.web.visits import Visit

_FORM: Final = """<p>Make the first administrator of this registry.</p>
{problem}
<form method="post" action="/setup">
<input type="hidden" name="token" value="{token}">
<input type="hidden" name="code" value="{code}">
<label for="username">Username</label>
<input id="username" name="username" value="{username}" autocomplete="username" \
autocapitalize="none" spellcheck="false" maxlength="128" aria-describedby="names" required>
<p class="hint" id="names">Small letters, digits and . _ @ -</p>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="new-password" \
minlength="8" maxlength="1024" aria-describedby="lengths" required>
<p class="hint" id="lengths">At least 8 characters; longer is better.</p>
<label for="again">Password, once more</label>
<input id="again" name="again" type="password" autocomplete="new-password" \
minlength="8" maxlength="1024" required>
<button>Create administrator</button>
</form>"""


@visits.shown
async def ask(resources: Resources, request: Request) -> Response:
    """The form, for who has the link."""
    here = await visits.visit(resources, request)
    code = request.query("code") or ""
    if not await setup.is_good(resources, code):
        return _gone(here)
    return _form(here, code)


@visits.shown
async def redeem(resources: Resources, request: Request) -> Response:
    """Make the account, and sign it in."""
    here, fields = await visits.form(resources, request)
    code, username = fields.get("code", ""), fields.get("username", "").strip()
    password = fields.get("password", "")
    if password != fields.get("again", ""):
        return _form(here, code, 400, "The two passwords are not the same.", username)
    try:
        await setup.redeem(resources, code, username, password)
    except Unauthorized:
        return _gone(here)
    except Refused as error:
        return _form(here, code, 400, str(error), username)
    except RegistryError as error:
        return _form(here, code, error.status, error.message, username, error.headers)
    return await enter(resources, here, Identity(f"user:{username}", "local"), visits.HOME)


def _form(
    here: Visit,
    code: str,
    status: int = 200,
    wrong: str = "",
    username: str = "",
    headers: tuple[tuple[str, str], ...] = (),
) -> Response:
    body = fill(_FORM, token=here.token, code=code, username=username, problem=problem(wrong))
    return here.page(status, "Welcome to Kho", body, headers=headers)


def _gone(here: Visit) -> Response:
    hint = "khod prints a new link when it starts without an administrator."
    return here.page(
        410,
        "This link is not good",
        problem(setup.GONE),
        fill('<p class="hint">{hint}</p>', hint=hint),
    )
