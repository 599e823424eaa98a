"""What people set of a repository: description, README, who may see it."""

from typing import Final

from kho.oci.errors import Denied, InvalidRequest
from kho.server.database import audit, readmes
from kho.server.database import repositories as rows
from kho.server.database.audit import Event
from kho.server.database.engine import Transaction
from kho.server.index.catalogue import paging
from kho.server.policy.access import Action, Caller, allowed
from kho.server.resources import Resources

DESCRIPTION: Final = 1000  # characters
README: Final = 256 * 1024  # bytes


async def describe(resources: Resources, repository: str, text: str, caller: Caller) -> None:
    """Set the line that lists show; "" is none. Raises Denied, InvalidRequest, NameUnknown."""
    _check(repository, caller)
    text = " ".join(text.replace("\0", "").split())
    if len(text) > DESCRIPTION:
        raise InvalidRequest("a description is at most %(most)s characters long", most=DESCRIPTION)
    await resources.database.write(_describe, repository, text, caller)


async def write_readme(resources: Resources, repository: str, text: str, caller: Caller) -> None:
    """Set the page, in Markdown. Raises Denied, InvalidRequest, NameUnknown."""
    _check(repository, caller)
    text = text.replace("\0", "")
    if len(text.encode("utf-8", "surrogatepass")) > README:
        raise InvalidRequest("a README is at most %(most)s bytes long", most=README)
    text = text.encode("utf-8", "replace").decode("utf-8")
    await resources.database.write(_write_readme, repository, text, caller)


async def remove_readme(resources: Resources, repository: str, caller: Caller) -> bool:
    """Take the page away, so that the image's own words are shown; False when there was none.

    Raises Denied, NameUnknown.
    """
    _check(repository, caller)
    return await resources.database.remove(_remove_readme, repository, caller)


async def set_public(resources: Resources, repository: str, public: bool, caller: Caller) -> None:
    """Let everybody pull, or only who has a grant. Raises Denied, NameUnknown."""
    _check(repository, caller)
    await resources.database.write(_set_public, repository, public, caller)


def _check(repository: str, caller: Caller) -> None:
    if not allowed(caller.principal, Action.SETTINGS, repository):
        raise Denied("this needs the action `settings`")


async def _describe(tx: Transaction, repository: str, text: str, caller: Caller) -> None:
    number = await paging.repository_id(tx, repository)
    await _record(tx, repository, caller, {"description": text})
    await readmes.describe(tx, number, text)


async def _write_readme(tx: Transaction, repository: str, text: str, caller: Caller) -> None:
    number = await paging.repository_id(tx, repository)
    await _record(tx, repository, caller, {"readme": len(text)})
    await readmes.put(tx, number, text, caller.name)


async def _remove_readme(tx: Transaction, repository: str, caller: Caller) -> bool:
    number = await paging.repository_id(tx, repository)
    if not await readmes.remove(tx, number):
        return False
    await _record(tx, repository, caller, {"readme": None})
    return True


async def _set_public(tx: Transaction, repository: str, public: bool, caller: Caller) -> None:
    await paging.repository_id(tx, repository)
    if await rows.is_public(tx, repository) == public:
        return
    await _record(tx, repository, caller, {"public": public})
    await rows.set_public(tx, repository, public)


async def _record(
    tx: Transaction, repository: str, caller: Caller, details: dict[str, object]
) -> None:
    where = (repository, None, caller.address, caller.request_id)
    event = Event("repository.set", "allowed", caller.name, *where, details=details)
    await audit.record(tx, event)
