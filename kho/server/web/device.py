"""Sign-in of devices without a browser (RFC 8628): what they ask, and the page to approve them."""

import re
from typing import Final
from urllib.parse import quote

from kho.server.index.browser import devices, rates
from kho.server.index.browser.devices import Pending
from kho.server.index.browser.sessions import From
from kho.server.resources import Resources
from kho.server.web import visits
from kho.server.web.address import base_url
from kho.server.web.pages import Html, fill, problem, redirect
from kho.server.web.request import Request, Response
from kho.server.web.v2.answers import json_answer
from kho.server.web.visits import Visit

PAGE: Final = "/auth/device"
_CLIENT: Final = re.compile(r"[\x20-\x7e]{0,64}")
_NO_STORE: Final = ("Cache-Control", "no-store")
_ENTER: Final = """<p>Type the code that your terminal or device shows.</p>
<form method="get" action="/auth/device">
<label for="user_code">Code</label>
<input id="user_code" name="user_code" class="entry" value="{code}" placeholder="XXXX-XXXX" \
autocomplete="off" autocapitalize="characters" spellcheck="false" maxlength="16" required>
<button>Continue</button>
</form>"""
_CONFIRM: Final = """<p>Does your terminal or device show this code?</p>
<p class="code">{code}</p>
<dl><dt>Who asks</dt><dd>{client}</dd><dt>From</dt><dd>{address}</dd><dt>When</dt><dd>{when}</dd>
<dt>Signs in as</dt><dd><b>{name}</b></dd></dl>
<p class="hint">It will be able to do what you may do. If somebody sent you this link or code, or
you did not start this yourself just now, deny it.</p>
<form method="post" action="/auth/device" class="row">
<input type="hidden" name="token" value="{token}">
<input type="hidden" name="user_code" value="{code}">
<button class="plain" name="decision" value="deny">Deny</button>
<button name="decision" value="approve">Approve</button>
</form>"""
_UNKNOWN: Final = (
    "No device waits with this code. It may be mistyped, used, or older than 10 minutes."
)


async def code(resources: Resources, request: Request) -> Response:
    """A device asks for codes (RFC 8628, 3.1)."""
    caller = request.caller
    await rates.check(resources, rates.BEGIN_DEVICE, caller.address)
    fields = await visits.plain_form(request)
    client = fields.get("client_id", "")
    if not _CLIENT.fullmatch(client):
        text = "client_id: at most 64 printable ASCII characters"
        value = {"error": "invalid_request", "error_description": text}
        return json_answer(400, value, _NO_STORE)
    await rates.spend(resources, rates.BEGIN_DEVICE, caller.address)
    asked = await devices.begin(resources, client, From(caller.address, caller.request_id))
    page = base_url(request.scope, resources.config) + PAGE
    told = {
        "device_code": asked.device_code,
        "user_code": asked.user_code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?user_code={asked.user_code}",
        "expires_in": asked.expires_in,
        "interval": asked.interval,
    }
    return json_answer(200, told, _NO_STORE)


@visits.shown
async def ask(resources: Resources, request: Request) -> Response:
    """Which device, then whether."""
    here = await visits.visit(resources, request)
    typed = (request.query("user_code") or "")[:32]
    if here.visitor is None:
        known = devices.read_code(typed)
        back = f"{PAGE}?user_code={known}" if known else PAGE
        return redirect(f"{visits.HOME}?next={quote(back, safe='')}", *here.cookies())
    if not typed:
        return here.page(200, "Sign in a device", fill(_ENTER, code=""))
    waiting = await _waiting(resources, here, typed)
    if waiting is None:
        return _unknown(here, typed)
    return here.page(200, "Sign in a device?", _confirmation(here, waiting))


def _confirmation(here: Visit, waiting: Pending) -> Html:
    minutes = waiting.minutes
    when = "just now" if minutes == 0 else f"{minutes} min ago"
    return fill(
        _CONFIRM,
        code=waiting.user_code,
        client=waiting.client or "a device without a name",
        address=waiting.address or "an unknown address",
        when=when,
        name=here.visitor.name if here.visitor else "",
        token=here.token,
    )


def _unknown(here: Visit, typed: str) -> Response:
    return here.page(404, "Sign in a device", problem(_UNKNOWN), fill(_ENTER, code=typed))


async def _waiting(resources: Resources, here: Visit, typed: str) -> Pending | None:
    """The device; wrong codes are counted, so that nobody tries them all."""
    await rates.check(resources, rates.WRONG_CODE, here.origin.address)
    known = devices.read_code(typed)
    found = None if known is None else await devices.pending(resources, known)
    if found is None and known is not None:
        await rates.spend(resources, rates.WRONG_CODE, here.origin.address)
    return found


@visits.shown
async def decide(resources: Resources, request: Request) -> Response:
    """Yes or no."""
    here, fields = await visits.form(resources, request)
    if here.visitor is None:
        return redirect(f"{visits.HOME}?next={quote(PAGE, safe='')}")
    typed = fields.get("user_code", "")[:32]
    approve = fields.get("decision") == "approve"
    waiting = await _waiting(resources, here, typed)
    if waiting is None or not await devices.decide(
        resources, waiting, here.visitor, here.origin, approve=approve
    ):
        return _unknown(here, typed)
    if approve:
        text = "The device is signed in. You can close this page and go back to it."
        return here.page(200, "Approved", fill("<p>{text}</p>", text=text))
    text = "The device was not signed in. You can close this page."
    return here.page(200, "Denied", fill("<p>{text}</p>", text=text))
