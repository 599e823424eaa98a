"""X-Forwarded-For and its kin, and Host: what a proxy may say, and what it may not."""

import ipaddress
import re

from kho.server.config import load
from kho.server.web.address import base_url, client_address, is_authority, proxy_subject
from tests.fuzz import texts

PEER = "10.0.0.1"
TRUSTING = load({"http.trusted_proxies": ("10.0.0.0/8",), "http.subject_header": "X-Subject"}, {})
WARY = load({}, {})


def check(data: bytes) -> None:
    forwarded, host, scheme, subject = texts.split(data, 4)
    headers = [
        (b"x-forwarded-for", forwarded),
        (b"x-forwarded-host", host),
        (b"x-forwarded-proto", scheme),
        (b"host", host),
        (b"x-subject", subject),
    ]
    scope = {"headers": headers, "client": (PEER, 1)}
    for config in (TRUSTING, WARY):
        assert re.fullmatch(r"https?://[A-Za-z0-9._:\[\]-]+", base_url(scope, config))
    assert client_address(scope, WARY) == PEER
    assert proxy_subject(scope, WARY) is None
    found = client_address(scope, TRUSTING)
    assert str(ipaddress.ip_address(found)) == found
    assert found == PEER or found in expected(texts.header(forwarded))
    name = proxy_subject(scope, TRUSTING)
    assert name is None or re.fullmatch(r"[a-z0-9][a-z0-9._@-]{0,127}", name)
    if is_authority(texts.header(host)):
        assert not set(texts.header(host)) & set("/?#@\\ \"'<>")


def expected(text: str) -> set[str]:
    """Every address that stands in the list, however it is written."""
    found = set()
    for part in re.split(r"[,\s]", text):
        for one in (part, part.strip("[]"), part.rpartition(":")[0].strip("[]")):
            try:
                address = ipaddress.ip_address(one)
            except ValueError:
                continue
            mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
            found.add(str(mapped or address))
    return found
