"""From a name to a connection that can be trusted: proxy, name, TCP, TLS.

name ─► addresses ─► a connection to each ─► a handshake with one: versions, names, end, issuer
"""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from time import time
from typing import Final
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from kho.client.diagnosis.findings import Finding, fail, ok, warn
from kho.remote.errors import Unreachable, UntrustedServer, printable
from kho.remote.hosts import Host, is_loopback, tls_context

Resolve = Callable[[str, int], Awaitable[list[str]]]

SECONDS: Final = 5.0
_SOON_DAYS: Final = 14
_DAY: Final = 86400.0
_PORTS: Final = {"https": 443, "http": 80}
# OpenSSL's X509_V_ERR_...
_EXPIRED, _NOT_YET, _NAME, _ADDRESS = 10, 9, 62, 64
_UNKNOWN: Final = frozenset({2, 18, 19, 20, 21})


async def resolve(name: str, port: int) -> list[str]:
    """Every address of a name, by the system."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


@dataclass(frozen=True, slots=True)
class Reached:
    """An address that takes connections."""

    url: SplitResult
    address: str

    @property
    def port(self) -> int:
        """Of the URL, or the usual one."""
        return self.url.port or _PORTS[self.url.scheme]


def proxy_of(url: SplitResult) -> str | None:
    """The proxy that requests to this address take."""
    name = url.hostname or ""
    if is_loopback(name) or proxy_bypass(name):
        return None
    return getproxies().get(url.scheme)


def proxy(url: SplitResult, found: str) -> Finding:
    """Requests go another way."""
    own = urlsplit(found)
    shown = f"{own.scheme or 'http'}://{own.hostname}:{own.port or 80}"
    variable = f"{url.scheme.upper()}_PROXY"
    if variable not in os.environ and variable.lower() not in os.environ:
        variable = "the system's settings"
    told = f"requests to {url.hostname} go through {shown} ({variable})"
    return warn("proxy", told, f"put {url.hostname} into NO_PROXY if it should be asked directly")


async def reach(
    url: SplitResult, resolver: Resolve, found: list[Reached]
) -> AsyncIterator[Finding]:
    """Resolve and connect; what takes connections is added to `found`."""
    name, port = url.hostname or "", url.port or _PORTS[url.scheme]
    try:
        addresses = await resolver(name, port)
    except OSError as error:
        told = f"{name}: {error.strerror or error}"
        advice = "check the spelling, this machine's name server, and /etc/hosts"
        yield fail("name", told, advice, Unreachable(told))
        return
    yield ok("name", f"{name} is {', '.join(addresses)}")
    failures = {}
    for address in addresses:
        problem = await _connect(address, port)
        if problem is None:
            found.append(Reached(url, address))
        else:
            failures[address] = problem
    told = "; ".join(f"{address} port {port}: {words}" for address, words in failures.items())
    if not found:
        yield fail("connection", told, _advice(told, port), Unreachable(told))
    elif failures:
        advice = (
            "clients try the next address, after a wait: take the dead one out of the name server"
        )
        yield warn("connection", f"{told}; {found[0].address} answers", advice)
    else:
        yield ok("connection", f"port {port} takes connections")


async def _connect(address: str, port: int) -> str | None:
    try:
        async with asyncio.timeout(SECONDS):
            _, writer = await asyncio.open_connection(address, port)
    except TimeoutError:
        return f"no answer in {SECONDS:g} s"
    except ConnectionRefusedError:
        return "refused"
    except OSError as error:
        return error.strerror or str(error)
    await _close(writer)
    return None


async def _close(writer: asyncio.StreamWriter) -> None:
    """Whatever the other side makes of it."""
    writer.close()
    with suppress(OSError, ssl.SSLError, TimeoutError):
        async with asyncio.timeout(SECONDS):
            await writer.wait_closed()


def _advice(told: str, port: int) -> str:
    if "refused" in told:
        return (
            f"nothing listens on port {port} there: is the registry running, and is the port right?"
        )
    return "a firewall or a route is in the way, or the machine is off"


async def secure(host: Host, where: Reached) -> Finding:
    """Shake hands as clients do, and tell what the certificate says."""
    try:
        context = tls_context(host)
    except (OSError, ssl.SSLError) as error:
        told = f"certificates for {host.name}: {error}"
        return fail("TLS", told, "mend the files in certs.d, or --ca-file", UntrustedServer(told))
    try:
        version, certificate = await _shake(where, context)
    except ssl.SSLCertVerificationError as error:
        return await _distrusted(where, error)
    except (TimeoutError, OSError, ssl.SSLError) as error:
        return _no_tls(where, error)
    told = f"{version}, {certificate.shown}"
    if host.access.insecure:
        return warn("TLS", f"{told}; not checked", "leave --insecure out")
    if certificate.days < _SOON_DAYS:
        return warn("TLS", told, "renew the certificate")
    return ok("TLS", told)


@dataclass(frozen=True, slots=True)
class _Certificate:
    names: str
    issuer: str
    ends: str
    days: float

    @property
    def shown(self) -> str:
        """In one line."""
        return f"for {self.names} by {self.issuer}, until {self.ends} ({self.days:.0f} days)"


async def _shake(where: Reached, context: ssl.SSLContext) -> tuple[str, _Certificate]:
    async with asyncio.timeout(SECONDS):
        _, writer = await asyncio.open_connection(
            where.address, where.port, ssl=context, server_hostname=where.url.hostname
        )
    try:
        shaken: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return shaken.version() or "TLS", _read(shaken.getpeercert(binary_form=True) or b"")
    finally:
        await _close(writer)


def _read(content: bytes) -> _Certificate:
    from cryptography import x509  # noqa: PLC0415

    certificate = x509.load_der_x509_certificate(content)
    try:
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(one.value) for one in held]
    except (x509.ExtensionNotFound, ValueError):
        names = [certificate.subject.rfc4514_string()]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004
    ends = certificate.not_valid_after_utc
    return _Certificate(
        printable(", ".join(names[:3])) + more,
        printable(certificate.issuer.rfc4514_string()),
        f"{ends:%Y-%m-%d}",
        (ends.timestamp() - time()) / _DAY,
    )


async def _distrusted(where: Reached, error: ssl.SSLCertVerificationError) -> Finding:
    """Look at the certificate all the same, to say what is wrong with it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    shown = printable(error.verify_message)
    certificate = None
    with suppress(OSError, ssl.SSLError, ValueError):
        _, certificate = await _shake(where, context)
    held = "" if certificate is None else f" ({certificate.shown})"
    name = where.url.hostname
    if error.verify_code == _EXPIRED:
        told, advice = "the certificate has expired", "renew it at the server; check the clock here"
    elif error.verify_code == _NOT_YET:
        told, advice = "the certificate is not valid yet", "check this machine's clock"
    elif error.verify_code in (_NAME, _ADDRESS):
        told = f"the certificate is not for {name}"
        advice = "use a name that it has, or give the server one for this name"
    elif error.verify_code in _UNKNOWN:
        told = "the certificate is from a CA that is not known here, or lacks its chain"
        advice = f"--ca-file CA.pem, or certs.d/{where.url.netloc}/ca.crt; never --insecure"
    else:
        told, advice = f"the certificate does not hold: {shown}", "give the server a valid one"
    return fail("TLS", told + held, advice, UntrustedServer(told))


def _no_tls(where: Reached, error: Exception) -> Finding:
    port = where.port
    reason = getattr(error, "reason", None) or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"):
        told = f"port {port} speaks no TLS, perhaps plain HTTP"
        advice = "--plain-http where that is meant; else give the server a certificate"
    elif isinstance(error, TimeoutError):
        told = f"port {port} takes connections and does not answer the handshake in {SECONDS:g} s"
        advice = "is it a TLS port, and is the server overloaded?"
    elif "VERSION" in reason or "PROTOCOL" in reason:
        told = f"no common TLS version ({reason}); 1.2 is the least here"
        advice = "the server needs TLS 1.2 or 1.3"
    else:
        told = f"no TLS connection: {printable(str(error)) or type(error).__name__}"
        advice = "look at the server's log"
    return fail("TLS", told, advice, Unreachable(told))
