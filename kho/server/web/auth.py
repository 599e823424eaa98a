"""Header to Principal; require(action), called by the table's dispatcher, never by handlers."""

from kho.oci.errors import Denied
from kho.server.policy.access import ANYONE, Action, Principal, allowed
from kho.server.web.request import Scope


def identify(scope: Scope) -> Principal:  # noqa: ARG001  the open registry knows nobody
    """Tell who asks."""
    return ANYONE


def require(principal: Principal, action: Action, repository: str | None) -> None:
    """Raise Denied unless the principal may."""
    if not allowed(principal, action, repository):
        raise Denied("requested access to the resource is denied")
