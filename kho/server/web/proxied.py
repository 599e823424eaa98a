"""Who asks, where a trusted proxy has looked at the certificate of a client: one rule for all.

    clients    Authorization, else the proxy's subject, else nobody
    programs   Authorization, else a session, else the proxy's subject, else nobody
    people                          a session, else the proxy's subject, else nobody

A browser shows its certificate whoever asks, as it sends cookies: writes are refused to pages of
other sites, in forms by their token.
"""

from kho.server.index.browser.sessions import Visitor
from kho.server.index.rights import access
from kho.server.policy.identity import Identity
from kho.server.resources import Resources
from kho.server.web.address import proxy_subject
from kho.server.web.request import Request


async def visitor(resources: Resources, request: Request) -> Visitor | None:
    """Who the proxy says it is; None where it says nothing.

    Raises Unauthorized when that account is unknown or disabled.
    """
    subject = proxy_subject(request.scope, resources.config)
    if subject is None:
        return None
    identity = Identity(f"user:{subject}", "proxy")
    return Visitor(identity, await access.principal_of(resources, identity))
