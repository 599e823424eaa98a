"""One connection to a directory (LDAP): what it is asked, and how its certificate is verified.

Everything here blocks, and runs in a thread.
"""

import contextlib
import re
import secrets
import socket
import ssl
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from kho.server import telemetry
from kho.server.identity_settings import LdapSettings
from kho.server.policy.names import is_name

CONNECT_SECONDS: Final = 5
MOST_GROUPS: Final = 1000
PLACEHOLDER: Final = re.compile(r"\{(username|dn)\}")

_SUCCESS: Final = 0
_TOO_MANY_ENTRIES: Final = 4
# Results of a bind that are the directory's trouble and not the user's.
_TROUBLES: Final = frozenset({1, 2, 3, 7, 8, 10, 11, 12, 13, 51, 52, 80})


class Trouble(Exception):
    """The directory answered, and cannot be worked with."""


class Entry(NamedTuple):
    """A user as the directory has it; groups as they are named here."""

    dn: str
    groups: list[str]


class Line:
    """A connection's socket, to be cut when the time is over."""

    def __init__(self) -> None:
        self.socket: socket.socket | None = None
        self.over = False

    def cut(self) -> None:
        """Wake the thread that waits for the directory; it sees a broken connection."""
        self.over = True
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)


class Session:
    """One connection to the directory; blocks."""

    def __init__(self, ldap: LdapSettings, line: Line) -> None:
        import ldap3  # noqa: PLC0415

        parts = urlsplit(ldap.url)
        host = parts.hostname or ""
        server = ldap3.Server(
            host,
            parts.port or (636 if parts.scheme == "ldaps" else 389),
            use_ssl=parts.scheme == "ldaps",
            get_info=ldap3.NONE,
            tls=_verified(ldap, host),
            connect_timeout=CONNECT_SECONDS,
            allowed_referral_hosts=[],
        )
        self._ldap = ldap
        self._connection: Any = ldap3.Connection(
            server,
            user=ldap.bind_dn or None,
            password=ldap.bind_password or None,
            auto_referrals=False,
            auto_range=False,
            check_names=False,
            receive_timeout=CONNECT_SECONDS,
        )
        try:
            self._open(line, secure=parts.scheme == "ldaps")
        except BaseException:
            self.close()
            raise

    def _open(self, line: Line, *, secure: bool) -> None:
        self._connection.open(read_server_info=False)
        line.socket = self._connection.socket
        if self._ldap.start_tls and not secure:
            self._connection.start_tls(read_server_info=False)
            line.socket = self._connection.socket
        if self._ldap.bind_dn and not self._connection.bind(read_server_info=False):
            raise Trouble(f"bind as ldap.bind_dn refused: {self._result()[1]}")

    def find(self, name: str) -> Entry | None:
        """The one entry that `user_filter` finds, with its groups."""
        found = self._search(
            self._ldap.user_base, filled(self._ldap.user_filter, username=name), "1.1", 2
        )
        if len(found) > 1:
            telemetry.log_event("directory: user is not unique, so refused", "warning", user=name)
        dn = found[0][0] if len(found) == 1 else ""
        groups = self._groups(name, dn or self.nobody())
        return Entry(dn, groups) if dn else None

    def _groups(self, name: str, dn: str) -> list[str]:
        if not self._ldap.group_base:
            return []
        wanted = filled(self._ldap.group_filter, username=name, dn=dn)
        found = self._search(self._ldap.group_base, wanted, self._ldap.group_name, MOST_GROUPS)
        names = {
            value.decode("utf-8", "replace").lower() for _, values in found for value in values
        }
        fitting = {one for one in names if is_name(one)}
        if fitting != names:
            left_out = sorted(names - fitting)[:10]
            telemetry.log_event("directory: groups left out", "debug", names=left_out)
        return sorted(fitting)

    def bind(self, dn: str, password: bytes) -> bool:
        """Whether the entry has this password. Bytes, since text may be prepared to nothing."""
        if self._connection.rebind(dn, password, read_server_info=False):
            return True
        code, text = self._result()
        if code in _TROUBLES:
            raise Trouble(f"bind as a user: {text}")
        return False

    def nobody(self) -> str:
        """The DN of an entry that is not there."""
        return f"cn={secrets.token_hex(16)},{self._ldap.user_base}"

    def close(self) -> None:
        """Let go of the connection."""
        held = self._connection.socket
        with contextlib.suppress(Exception):  # it may be broken already
            self._connection.unbind()
        if held is not None:  # ldap3 forgets it when it could not connect
            held.close()

    def _search(
        self, base: str, wanted: str, attribute: str, most: int
    ) -> list[tuple[str, list[bytes]]]:
        import ldap3  # noqa: PLC0415

        self._connection.search(
            base,
            wanted,
            search_scope=ldap3.SUBTREE,
            dereference_aliases=ldap3.DEREF_NEVER,
            attributes=[attribute],
            size_limit=most,
            time_limit=CONNECT_SECONDS,
        )
        code, text = self._result()
        if code not in (_SUCCESS, _TOO_MANY_ENTRIES):
            raise Trouble(f"search below {base!a}: {text}")
        return [
            (one["dn"], [value for values in one["raw_attributes"].values() for value in values])
            for one in self._connection.response or ()
            if one["type"] == "searchResEntry"  # references to other servers are not followed
        ]

    def _result(self) -> tuple[int, str]:
        result = self._connection.result
        return result["result"], f"{result['description']} {result['message']}".strip()


def filled(template: str, **values: str) -> str:
    """The filter with its placeholders filled in, as text and nothing else (RFC 4515)."""
    from ldap3.utils.conv import escape_filter_chars  # noqa: PLC0415

    return PLACEHOLDER.sub(lambda one: escape_filter_chars(values.get(one[1], "")), template)


def context_of(ldap: LdapSettings) -> ssl.SSLContext:
    """What certificates must chain to. Raises OSError."""
    context = ssl.create_default_context(cafile=ldap.ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _verified(ldap: LdapSettings, host: str) -> Any:  # noqa: ANN401  ldap3 may not be there
    """TLS as Python verifies it: chain, and host name or address."""
    import ldap3  # noqa: PLC0415

    context = context_of(ldap)

    class Verified(ldap3.Tls):
        def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: ANN401, ARG002
            connection.socket = context.wrap_socket(connection.socket, server_hostname=host)

    return Verified()
