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
from kho.server.web.redirects import redirect
from kho.server.web.request import Request, Response
from kho.server.web.ui import render
from kho.server.web.v2.answers import json_answer
from kho.server.web.visits import Visit

PAGE: Final = "/auth/device"
_CLIENT: Final = re.compile(r"[\x20-\x7e]{0,64}")
_NO_STORE: Final = ("Cache-Control", "no-store")


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


async def ask(resources: Resources, request: Request) -> Response:
    """Which device, then whether."""
    here = await visits.visit(resources, request)
    typed = (request.query("user_code") or "")[:32]
    if here.visitor is None:
        known = devices.read_code(typed)
        back = f"{PAGE}?user_code={known}" if known else PAGE
        return redirect(f"{visits.SIGN_IN}?next={quote(back, safe='')}", *here.cookies())
    if not typed:
        return await _page(resources, request, here, "enter")
    waiting = await _waiting(resources, here, typed)
    if waiting is None:
        return await _page(resources, request, here, "unknown", 404, code=typed)
    return await _page(
        *(resources, request, here, "confirm"),
        code=waiting.user_code,
        client=waiting.client,
        address=waiting.address,
        minutes=waiting.minutes,
    )


async def _page(
    resources: Resources,
    request: Request,
    here: Visit,
    step: str,
    status: int = 200,
    **values: object,
) -> Response:
    return await render.page(
        *(resources, request, "device.html"),
        status=status,
        known=here,
        **{"here": PAGE, "step": step, "code": "", **values},  # type: ignore[arg-type]
    )


async def _waiting(resources: Resources, here: Visit, typed: str) -> Pending | None:
    """The device; wrong codes are counted, so that nobody tries them all."""
    await rates.check(resources, rates.WRONG_CODE, here.origin.address)
    known = devices.read_code(typed)
    found = None if known is None else await devices.pending(resources, known)
    if found is None and known is not None:
        await rates.spend(resources, rates.WRONG_CODE, here.origin.address)
    return found


async def decide(resources: Resources, request: Request) -> Response:
    """Yes or no."""
    here, fields = await visits.form(resources, request)
    if here.visitor is None:
        return redirect(f"{visits.SIGN_IN}?next={quote(PAGE, safe='')}")
    typed = fields.get("user_code", "")[:32]
    approve = fields.get("decision") == "approve"
    waiting = await _waiting(resources, here, typed)
    if waiting is None or not await devices.decide(
        resources, waiting, here.visitor, here.origin, approve=approve
    ):
        return await _page(resources, request, here, "unknown", 404, code=typed)
    return await _page(resources, request, here, "approved" if approve else "denied")
