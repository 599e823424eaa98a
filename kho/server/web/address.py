"""Where a request comes from, what its client calls this registry, and whom its proxy vouches for.

Headers about that are believed only when the peer is a trusted proxy, which must set or remove
them itself. `Forwarded` is never believed: a proxy that sets X-Forwarded-For passes it through.
"""

import ipaddress
import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from kho.server.config import Config
from kho.server.web.request import Scope
from kho.server.web.subject import common_name

# More entries than a chain of proxies has are left unread.
MOST_HOPS: Final = 32
_HOST: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
_AUTHORITY: Final = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?")
_WITH_PORT: Final = re.compile(
    r"\[([0-9A-Fa-f:.]{2,45})\](?::[0-9]{1,5})?|([0-9.]{7,15}):[0-9]{1,5}"
)
_MAPPED: Final = "::ffff:"

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


def client_address(scope: Scope, config: Config) -> str:
    """The peer's address; from a trusted proxy, the right-most untrusted of X-Forwarded-For."""
    peer = _peer(scope)
    trusted = config.http.trusted_proxies
    if not trusted:
        return peer
    found = _parsed(peer)
    networks = _networks(trusted)
    if found is None or not _within(found, networks):
        return peer
    hops = b",".join(_lines(scope, b"x-forwarded-for")).decode("latin-1")
    for hop in reversed(hops.rsplit(",", MOST_HOPS)[-MOST_HOPS:]):
        said = _parsed(hop.strip(" \t"))
        if said is None:
            break
        found = said
        if not _within(said, networks):
            break
    return str(found)


def proxy_subject(scope: Scope, config: Config) -> str | None:
    """The name in the certificate that a trusted proxy has verified; None without a clear one."""
    header = config.http.subject_header
    if not header or not _is_trusted(scope, config):
        return None
    lines = _lines(scope, header.lower().encode("ascii"))
    return common_name(lines[0].decode("latin-1")) if len(lines) == 1 else None


def base_url(scope: Scope, config: Config) -> str:
    """What stands before the path in URLs of this registry; no slash at its end."""
    if config.http.public_url:
        return config.http.public_url.rstrip("/")
    scheme, host = "https" if config.tls.cert else "http", _authority(scope, b"host")
    if config.http.trusted_proxies and _is_trusted(scope, config):
        host = _authority(scope, b"x-forwarded-host") or host
        said = _lines(scope, b"x-forwarded-proto")
        if said in ([b"https"], [b"http"]):
            scheme = said[0].decode("ascii")
    return f"{scheme}://{host or config.listen}"


def is_authority(text: str) -> bool:
    """Whether this is a host, or an IPv6 address in brackets, with or without a port."""
    if _AUTHORITY.fullmatch(text) is None:
        return False
    inside, bracket, _ = text[1:].partition("]")
    return not bracket or _parsed(inside) is not None  # what no address is breaks urlsplit


def _authority(scope: Scope, name: bytes) -> str:
    lines = _lines(scope, name)
    text = lines[0].decode("latin-1") if len(lines) == 1 else ""
    return text if is_authority(text) else ""


def _lines(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


def _peer(scope: Scope) -> str:
    """The address of who connected; IPv4 as such also on a socket for both."""
    client = scope.get("client")
    text = str(client[0]) if client else ""
    return text[len(_MAPPED) :] if text.startswith(_MAPPED) and "." in text else text


def _is_trusted(scope: Scope, config: Config) -> bool:
    found = _parsed(_peer(scope)) if config.http.trusted_proxies else None
    return found is not None and _within(found, _networks(config.http.trusted_proxies))


@lru_cache(maxsize=4)
def _networks(texts: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


def _within(address: _Address, networks: tuple[_Network, ...]) -> bool:
    return any(address in network for network in networks)


def _parsed(text: str) -> _Address | None:
    """An address with or without a port; None for anything else (`unknown`, names, garbage)."""
    found = _WITH_PORT.fullmatch(text)
    if found:
        text = found[1] or found[2]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address
