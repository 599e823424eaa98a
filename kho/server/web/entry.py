"""Who may come in, for every audience: called by the dispatcher, never by handlers.

CLIENTS    auth.admit
PROGRAMS   Authorization, else a browser's session, whose writes must come from a page of ours
PEOPLE     a browser's session

For who has none of these a trusted proxy may speak: proxied.py.

What the caller may not even pull is not there: 404, as if nothing were (A5, P7).
"""

from kho.oci.errors import NameUnknown, Unauthorized
from kho.server.index.rights import access
from kho.server.policy.access import ANYONE, FREE, NOBODY, Action, Caller, Principal
from kho.server.resources import Resources
from kho.server.web import auth, strangers, visits
from kho.server.web.address import client_address
from kho.server.web.request import Audience, Request
from kho.server.web.route import Route


async def admit(resources: Resources, request: Request, route: Route, request_id: str) -> None:
    """Say in `request.caller` who asks; raise unless it may.

    Raises Unauthorized, Denied, NameUnknown, TooManyRequests or Unavailable.
    """
    if route.audience is Audience.CLIENTS:
        await auth.admit(resources, request, route.action, request_id)
        return
    where = client_address(request.scope, resources.config)
    request.caller = Caller(ANYONE if route.action in FREE else NOBODY, where, request_id)
    if route.action in FREE:
        return
    try:
        principal = await _principal(resources, request, where)
    except Unauthorized as error:
        raise auth.challenged(resources, request, route.action, error, None) from None
    request.caller = Caller(principal, where, request_id)
    await _decide(resources, request, route.action)


async def _principal(resources: Resources, request: Request, where: str) -> Principal:
    """Who asks. Raises Unauthorized for credentials that are wrong, Denied for a foreign page."""
    programs = request.audience is Audience.PROGRAMS
    writes = programs and request.method not in strangers.SAFE
    here = None
    if not programs or not request.header(b"authorization"):
        here = await visits.visit(resources, request)
    if here is None or (programs and not here.session):
        if writes:  # browsers keep credentials and certificates, and send them for whoever asks
            strangers.check_sender(request, resources.config)
        return await auth.identify(resources, request, where)
    if here.visitor is None:
        # Nobody has an account: everybody may do everything, but not by a page of another site.
        if not await access.is_open(resources):
            return await access.anonymous(resources, shown=False)
        strangers.check(request)
        return ANYONE
    if writes:
        visits.check_request(request, here)
    return here.visitor.principal


async def _decide(resources: Resources, request: Request, action: Action) -> None:
    principal = request.caller.principal
    repository = request.values.name or None
    if await access.may(resources, principal, action, repository):
        return
    hidden = repository is not None and not await access.may(
        resources, principal, Action.PULL, repository
    )
    if hidden and not principal.anonymous:
        raise NameUnknown("no such repository", detail={"name": repository})
    raise auth.refusal(resources, request, action)
