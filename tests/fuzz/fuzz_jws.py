"""Tokens of others, before and after anything in them is believed."""

import base64
import json
from collections.abc import Mapping

from kho.oci.strict_json import JsonRefused, parse_object
from kho.server.index.jose.jwk import keys_of
from kho.server.index.jose.jws import Jws, Untrusted, audiences, check_times, parse
from tests.fuzz import texts

MOST = 4096
NOW = 1_800_000_000.0


def check(data: bytes) -> None:
    check_token(texts.header(data))
    header, claims, signature = texts.split(data, 3)
    token = ".".join(map(encoded, (header, claims, signature)))
    found = check_token(token)
    if found is not None:
        assert found.claims == json.loads(claims)
        assert found.header == json.loads(header)
        assert found.signature == signature
    check_keys(data)


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def check_token(token: str) -> Jws | None:
    try:
        found = parse(token, MOST)
    except Untrusted as error:
        assert str(error).isascii()
        assert "\n" not in str(error)
        return None
    assert len(token) <= MOST
    # One token, one spelling: what was signed is what was read.
    head, body = found.signed.decode("ascii").split(".")
    assert f"{head}.{body}.{encoded(found.signature)}" == token
    assert isinstance(found.algorithm, str)
    assert not {"crit", "b64", "enc", "zip", "cty"} & set(found.header)
    assert all(isinstance(one, str) for one in audiences(found.claims))
    check_claims(found.claims)
    return found


def check_claims(claims: Mapping[str, object]) -> None:
    for required in ((), ("iat", "nbf")):
        try:
            end = check_times(claims, NOW, required)
        except Untrusted:
            continue
        assert end > NOW - 61
        assert all(name in claims for name in ("exp", *required))


def check_keys(data: bytes) -> None:
    try:
        document = parse_object(data)
    except JsonRefused:
        return
    try:
        found = keys_of(document, ("RS256",))
    except ValueError:
        return
    for key in found:
        assert key.algorithms
        assert key.kid is None or isinstance(key.kid, str)
