"""Sessions of browsers: a cookie holds the secret, a row its hash; deleting the row ends it.

browser cookie   who is not known yet: binds forms and logins under way to this browser
session cookie   who has signed in; /v2 and /token never look at it
"""

import hashlib
import hmac
import secrets
import time
from typing import Final, NamedTuple

from kho.oci.errors import Unauthorized
from kho.server.database.identities import accounts
from kho.server.index import logins
from kho.server.index.audit import Event, note
from kho.server.index.rights import access
from kho.server.index.tokens import credentials
from kho.server.policy.access import By, Principal
from kho.server.policy.identity import Identity
from kho.server.resources import Resources

KIND: Final = "session"
HOURS: Final = 12  # after the last use
LABEL_LENGTH: Final = 120
SEEN_SECONDS: Final = 60.0
_SEEN_ENTRIES: Final = 10_000


class Visitor(NamedTuple):
    """Who has signed in with a browser. `identity.credential` is the session."""

    identity: Identity
    principal: Principal

    @property
    def name(self) -> str:
        """Without `user:`."""
        return self.identity.subject.partition(":")[2]


class From(NamedTuple):
    """Where a request came from, as the audit trail tells it; `agent` names the browser."""

    address: str
    request_id: str
    agent: str = ""


async def begin(resources: Resources, identity: Identity, origin: From) -> str:
    """A session for who has just shown who they are; the secret for the cookie."""
    label = "".join(char for char in origin.agent if char.isprintable())[:LABEL_LENGTH]
    secret = await credentials.create(
        resources,
        kind=KIND,
        subject=identity.subject,
        name=label,
        expires_seconds=HOURS * 3600,
        sliding=True,
        details={"source": identity.source, "address": origin.address},
    )
    kind, _, name = identity.subject.partition(":")
    if kind == "user":
        await resources.database.write(accounts.logged_in, name)
    return secret


async def find(resources: Resources, secret: str) -> Visitor | None:
    """Who has the session; None when it has ended, or its owner is gone or disabled.

    Raises Unavailable when a directory cannot be asked for its owner.
    """
    if not secret:
        return None
    await access.refresh(resources)
    try:
        identity = await credentials.identify(resources, secret, (KIND,))
        principal = await access.principal_of(resources, identity)
    except Unauthorized:
        return None
    return Visitor(identity, principal) if await _still_there(resources, identity) else None


class _Seen:
    """Until when (monotonic) users of a file or a directory are believed to be there still."""

    def __init__(self) -> None:
        self.until: dict[str, float] = {}


async def _still_there(resources: Resources, identity: Identity) -> bool:
    until = resources.memory.drawer(_Seen).until
    if until.get(identity.subject, 0.0) > time.monotonic():
        return True
    if not await logins.still_there(resources, identity):
        return False
    if len(until) >= _SEEN_ENTRIES:
        until.clear()
    until[identity.subject] = time.monotonic() + SEEN_SECONDS
    return True


async def end(resources: Resources, visitor: Visitor, origin: From) -> None:
    """Sign out, at once and everywhere the cookie may be."""
    subject = visitor.identity.subject
    if visitor.identity.credential is not None:
        by = By(subject, origin.address, origin.request_id)
        await credentials.revoke(resources, visitor.identity.credential, by=by)
    note(
        resources,
        Event(
            "logout",
            "allowed",
            subject,
            address=origin.address,
            request_id=origin.request_id,
        ),
    )


def new_browser() -> str:
    """What a browser is known by before anybody has signed in."""
    return secrets.token_urlsafe(32)


def form_token(cookie: str) -> str:
    """What forms carry to show that they come from a page of ours, shown to this browser."""
    return hashlib.sha256(f"kho form {cookie}".encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare secrets in constant time; any text may come."""
    return hmac.compare_digest(one.encode(), other.encode())
