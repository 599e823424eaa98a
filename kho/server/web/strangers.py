"""Pages of other sites at a registry that is open to all, in a browser of who can reach it.

    a page of another site       says so in Sec-Fetch-Site or Origin     its writes are refused
    one whose name leads to us   Host is no name of ours                 all of it is refused

The second (DNS rebinding) is told apart where a registry is open because it is on loopback: names
of this machine and of private networks are ours, as they belong to nobody else.
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from kho.oci.errors import Denied
from kho.server.config import Config
from kho.server.web import visits
from kho.server.web.address import base_url
from kho.server.web.request import Request

SAFE: Final = frozenset({"GET", "HEAD"})
_AFTER_HOST: Final = re.compile("[/?#]")
# Of these nobody can have a name in the DNS of the world (RFC 6761, 6762, 8375; ICANN's .internal).
_PRIVATE: Final = ("localhost", "local", "internal", "test", "home.arpa", "lan")


def check(request: Request) -> None:
    """Raise Denied for what a page of another site sends; the caller may do everything here."""
    config = request.config
    if config.listen.is_loopback and not config.auth.open and not config.http.trusted_proxies:
        host = request.header(b"host") or ""
        if not is_own(host, config.http.public_url):
            raise Denied(
                "this registry is open to this machine alone, and is not called so:"
                " make an account, or set http.public_url"
            )
    if request.method not in SAFE:
        check_sender(request, config)


def check_sender(request: Request, config: Config) -> None:
    """Raise Denied for what a page of another site sends; programs send no such headers."""
    if request.header(b"sec-fetch-site") is not None or request.header(b"origin") is not None:
        visits.check_origin(request, base_url(request.scope, config))


@lru_cache(maxsize=64)
def is_own(host: str, public_url: str) -> bool:
    """Whether a Host names this machine: an address, a private name, or what `public_url` says."""
    name = _AFTER_HOST.split(host.lower(), maxsplit=1)[0].rpartition("@")[2]
    name = name.partition("]")[0].lstrip("[") if name.startswith("[") else name.partition(":")[0]
    name = name.removesuffix(".")
    if "." not in name and ":" not in name:  # also none at all
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        known = (urlsplit(public_url).hostname or "").lower()
        return name == known or name.endswith(tuple(f".{one}" for one in _PRIVATE))
    return True
