"""How open the registry stands: decided at start, told in its first lines.

an account, a robot or a setting of auth     ask everybody who they are
none, on a loopback address                  open to all, as registry:2 is
none, elsewhere, --open                      the same
none, elsewhere, over TLS                    closed; a one-time link makes the first administrator
none, elsewhere, in plain text               no start
"""

import asyncio
from typing import NamedTuple

from kho.server.config import Config
from kho.server.index.browser import setup
from kho.server.index.rights import access
from kho.server.index.sources import ldap
from kho.server.index.tokens import external, keys
from kho.server.resources import Resources, open_resources


class Shut(Exception):
    """The registry cannot be opened to whom it would be open; the message is for the operator."""


class Doors(NamedTuple):
    """`code` makes the first administrator, once."""

    open: bool
    code: str | None


def look(config: Config) -> Doors:
    """Decide, and make what tokens are signed with; raise Shut.

    Runs before any worker does, and leaves nothing open.
    """
    for check in (external.check, ldap.check):
        try:
            check(config)
        except ValueError as error:
            raise Shut(str(error)) from None
    return asyncio.run(_look(config))


async def _look(config: Config) -> Doors:
    async with open_resources(config) as resources:
        stands_open = await access.is_open(resources)
        if not stands_open and not await _anybody_could_come(resources) and not _private(config):
            raise Shut(
                f"on {config.listen} anybody could connect, and there is no account yet: add one"
                " first (khod users add NAME --password-stdin --admin), or serve over TLS"
                " (--tls-cert, --tls-key), where a one-time link makes the first administrator,"
                " or let everybody do everything (--open)"
            )
        if config.token.realm:
            return Doors(stands_open, None)
        await keys.ensure(resources)
        if stands_open and config.auth.open:
            return Doors(stands_open, None)
        return Doors(stands_open, await setup.ensure_link(resources))


async def _anybody_could_come(resources: Resources) -> bool:
    config = resources.config
    return access.configured(config) or await access.anybody(resources)


def _private(config: Config) -> bool:
    """Whether a password would cross the network unread."""
    return (
        config.listen.is_loopback
        or bool(config.tls.cert)
        or config.http.public_url.startswith("https://")
    )
