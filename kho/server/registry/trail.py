"""What callers do to repositories, written to the audit trail in the transaction that did it."""

from collections.abc import Mapping

from kho.server.database import audit
from kho.server.database.audit import Event
from kho.server.database.engine import Transaction
from kho.server.policy.access import Caller


async def record(
    tx: Transaction,
    caller: Caller,
    action: str,
    repository: str,
    target: str,
    details: Mapping[str, object] | None = None,
) -> None:
    """Write the event that `action`, as in `tag.delete`, was done."""
    event = Event(
        action,
        "allowed",
        caller.name,
        repository,
        target,
        caller.address,
        caller.request_id,
        details,
    )
    await audit.record(tx, event)
