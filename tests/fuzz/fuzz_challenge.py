"""WWW-Authenticate, whatever the Host header said, as Python's own client reads it."""

import re
from urllib.request import parse_http_list, parse_keqv_list

from kho.oci.challenge import basic_challenge, bearer_challenge
from kho.oci.scope import parse_scopes
from tests.fuzz import texts


def check(data: bytes) -> None:
    realm, service, scope, error = (texts.unicode(one) for one in texts.split(data, 4))
    scopes = parse_scopes([scope])
    header = bearer_challenge(realm, service, scopes, error or None)
    found = fields(header, "Bearer ")
    assert found.pop("realm") == cleaned(realm)
    assert found.pop("service") == cleaned(service)
    if scopes:
        assert parse_scopes([found.pop("scope")]) == scopes
    if error:
        assert found.pop("error") == cleaned(error)
    assert not found
    assert fields(basic_challenge(realm), "Basic ") == {"realm": cleaned(realm)}


def fields(header: str, kind: str) -> dict[str, str]:
    assert header.isascii()
    assert header.isprintable()
    assert header.startswith(kind)
    return parse_keqv_list(parse_http_list(header.removeprefix(kind)))


def cleaned(text: str) -> str:
    return re.sub(r'[^\x20-\x7e]|["\\]', "?", text)
