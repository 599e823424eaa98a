"""Accounts of a directory: search the user's entry, search its groups, bind as it.

    thread ── one connection ── TLS ── bind as bind_dn ── search user_filter ──> exactly one entry
                                    ── search group_filter ──> names of groups
                                    ── bind as the entry ──> the password is right

A DN is never made of what a client sent: it comes from the directory. For a user that is not there
the same three questions are asked about an entry that is not there, so that time tells nothing.
"""

import asyncio
import importlib.util
import secrets
import ssl
from collections.abc import Callable
from typing import Final, TypeVar
from urllib.parse import urlsplit

from kho.oci.errors import TooManyRequests, Unavailable
from kho.server import telemetry
from kho.server.config import Config
from kho.server.identity_settings import LdapSettings
from kho.server.index.sources.directory import (
    PLACEHOLDER,
    Line,
    Session,
    Trouble,
    context_of,
    filled,
)
from kho.server.resources import Resources
from kho.server.threads import Threads

WHOLE_SECONDS: Final = 10.0
THREADS: Final = 4
PLACES: Final = 32

T = TypeVar("T")


class Directory:
    """The threads of this worker that speak to the directory."""

    def __init__(self) -> None:
        self.threads = Threads("ldap", THREADS)
        self.inside = 0
        self.troubled = False

    def close(self) -> None:
        """Wait for who is asking."""
        self.threads.close()


def check(config: Config) -> None:
    """Raise ValueError with what is wrong with `[ldap]`, before anything is served."""
    ldap = config.ldap
    if not ldap.url:
        return
    if importlib.util.find_spec("ldap3") is None:
        raise ValueError("ldap.url is set, but the extra is missing: pip install 'kho[ldap]'")
    parts = urlsplit(ldap.url)
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
        raise ValueError("ldap.url: allowed is ldap://HOST[:PORT] or ldaps://HOST[:PORT] alone")
    if not ldap.user_base:
        raise ValueError("ldap.user_base is missing: the DN below which users are searched")
    if bool(ldap.bind_dn) != bool(ldap.bind_password):
        raise ValueError("ldap.bind_dn and ldap.bind_password: allowed are both or none")
    if "{username}" not in ldap.user_filter:
        raise ValueError("ldap.user_filter: {username} is missing, for example (uid={username})")
    if ldap.group_base and not PLACEHOLDER.search(ldap.group_filter):
        raise ValueError("ldap.group_filter: {dn} or {username} is missing")
    for key in ("user_filter", "group_filter"):
        _check_filter(f"ldap.{key}", getattr(ldap, key))
    try:
        context_of(ldap)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"ldap.ca {ldap.ca!a} cannot be read as PEM: {error}") from None


async def authenticate(resources: Resources, name: str, password: str) -> list[str] | None:
    """The user's groups when the password is right, else None.

    Raises Unavailable, TooManyRequests.
    """
    given = password.encode()
    if not given:
        return None  # a bind without password is anonymous: it succeeds for everybody

    def work(session: Session) -> list[str] | None:
        entry = session.find(name)
        right = session.bind(entry.dn if entry else session.nobody(), given)
        return entry.groups if entry and right else None

    return await _ask(resources, work)


async def groups_of(resources: Resources, name: str) -> list[str] | None:
    """The user's groups; None when the directory does not have the user.

    Raises Unavailable, TooManyRequests.
    """

    def work(session: Session) -> list[str] | None:
        entry = session.find(name)
        return entry.groups if entry else None

    return await _ask(resources, work)


async def ask_for_nobody(resources: Resources) -> None:
    """Make the directory do what a wrong password makes it do.

    Raises Unavailable, TooManyRequests.
    """
    await authenticate(resources, secrets.token_hex(16), secrets.token_hex(16))


async def _ask(resources: Resources, work: Callable[[Session], T]) -> T:
    directory = resources.memory.keep(Directory)
    if directory.inside >= PLACES:
        raise TooManyRequests("too many logins at once; try again shortly", retry_after=3)
    directory.inside += 1
    line = Line()
    try:
        async with asyncio.timeout(WHOLE_SECONDS):
            found = await directory.threads.submit(_work, resources.config.ldap, line, work)
    except (Trouble, OSError, TimeoutError) as error:
        line.cut()
        if not directory.troubled:
            telemetry.log_failure("directory unavailable", error, url=resources.config.ldap.url)
        directory.troubled = True
        raise Unavailable("the directory of users cannot be asked; try again later") from None
    finally:
        directory.inside -= 1
    directory.troubled = False
    return found


def _work(ldap: LdapSettings, line: Line, work: Callable[[Session], T]) -> T:
    """Do `work` on a connection of its own, in a thread. Raises Trouble, OSError."""
    from ldap3.core.exceptions import LDAPException  # noqa: PLC0415

    if line.over:  # the time went by before there was a thread
        raise TimeoutError
    try:
        session = Session(ldap, line)
        try:
            return work(session)
        finally:
            session.close()
    except LDAPException as error:
        raise Trouble(f"{type(error).__name__}: {error}") from None


def _check_filter(key: str, template: str) -> None:
    from ldap3.core.exceptions import LDAPException  # noqa: PLC0415
    from ldap3.operation.search import parse_filter  # noqa: PLC0415

    try:
        parse: Callable[..., object] = parse_filter
        parse(filled(template, username="a", dn="a"), None, False, False, None, False)
    except LDAPException as error:
        raise ValueError(f"{key} {template!a} is not a filter: {error}") from None
