"""Tokens that nobody may believe, made with and without the registry's own key.

A name with `signed:` says that the registry's own key signed it: only its content is wrong.
Every token fits into an HTTP header.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from kho.server.resources import Resources
from tests.attacks.forge import (
    ABSENT,
    EVERYTHING,
    Forge,
    Json,
    certificate,
    encode,
    es256,
    forge,
    public_jwk,
    thumbprint,
)

Named = Iterator[tuple[str, str]]

ODD_NUMBERS: tuple[object, ...] = ("1", True, 1.5, [1], {})


async def forgeries(resources: Resources, **given: Any) -> list[tuple[str, str]]:
    """Every forged token, by name."""
    made = await forge(resources, **given)
    parts = (own_keys, kids, algorithms, headers, missing, claims_of_wrong_types)
    return [one for part in (*parts, wrong_values, structures) for one in part(made)]


def own_keys(forge: Forge) -> Named:
    """B1: the token brings its key along, by every way that JOSE knows."""
    jwk = public_jwk(forge.own)
    chain = [certificate(forge.own)]
    brought: dict[str, Json] = {
        "jwk": {"jwk": {**jwk, "kid": forge.key.kid}},
        "jwk with its private half": {"jwk": {**jwk, "d": encode(b"\1" * 32)}},
        "jku": {"jku": forge.url},
        "x5u": {"x5u": forge.url},
        "x5c": {"x5c": chain},
        "x5t": {"x5t": encode(hashlib.sha1(base64.b64decode(chain[0])).digest())},
        "x5t#S256": {"x5t#S256": encode(hashlib.sha256(base64.b64decode(chain[0])).digest())},
        "all at once": {"jwk": jwk, "jku": forge.url, "x5u": forge.url, "x5c": chain},
    }
    kids = {"the trusted kid": forge.key.kid, "its own kid": thumbprint(jwk), "no kid": ABSENT}
    for how, extra in brought.items():
        for whose, kid in kids.items():
            header = forge.header(**extra, kid=kid)
            yield f"{how}, {whose}", forge.token(header, forge.claims(), forge.foreign)


def kids(forge: Forge) -> Named:
    """B1: kids that could lead somewhere else."""
    trusted = forge.key.kid
    wrong: list[object] = [
        *("", " ", "0", "../../../../dev/null", "/dev/null", "file:///dev/null", forge.url),
        *("' OR '1'='1", f"{trusted}' --", f"{trusted}\0", f" {trusted}", trusted.swapcase()),
        *("%s", "{}", "\ud800", "é", "k" * 4000, "null"),
    ]
    types: list[object] = [None, 0, True, 1.5, [trusted], {"kid": trusted}, [[]]]
    for kid in wrong:
        token = forge.token(forge.header(kid=kid), forge.claims(), forge.foreign)
        yield f"kid {kid!a:.40}", token
    for kid in types:
        yield f"kid {kid!a:.40}", forge.token(forge.header(kid=kid), forge.claims(), forge.foreign)
        token = forge.token(forge.header(kid=kid), forge.claims(), forge.trusted)
        yield f"signed: kid {kid!a:.40}", token
    yield "other key, same kid", forge.token(forge.header(), forge.claims(), forge.foreign)
    header = forge.header(kid=ABSENT)
    yield "signed: no kid", forge.token(header, forge.claims(), forge.trusted)


def algorithms(forge: Forge) -> Named:
    """B2: another algorithm than the key's."""
    right = forge.right()
    for name in ("none", "None", "NONE", "nOnE", ""):
        header = forge.header(alg=name)
        yield f"alg {name!r}, signed", forge.token(header, forge.claims(), forge.trusted)
        yield f"alg {name!r}, empty", forge.token(header, forge.claims(), lambda _: b"")
        bare = forge.token(forge.header(alg=name, kid=ABSENT), forge.claims(), lambda _: b"x")
        yield f"alg {name!r}, any signature", bare
    for name, secret in hmac_secrets(forge).items():
        for alg in ("HS256", "HS384", "HS512"):
            digest = f"sha{alg[2:]}"

            def mac(content: bytes, secret: bytes = secret, digest: str = digest) -> bytes:
                return hmac.digest(secret, content, digest)

            token = forge.token(forge.header(alg=alg), forge.claims(), mac)
            yield f"{alg} with the {name}", token
    rsa_key = rsa.generate_private_key(65537, 2048)
    yield (
        "RS256 of the attacker",
        forge.token(
            forge.header(alg="RS256"),
            forge.claims(),
            lambda content: rsa_key.sign(content, padding.PKCS1v15(), hashes.SHA256()),
        ),
    )
    for alg in ("ES384", "ES512", "ES256K", "RS256", "PS256", "EdDSA", "es256", "ES256 ", "HS256"):
        token = forge.token(forge.header(alg=alg), forge.claims(), forge.trusted)
        yield f"signed: alg {alg!r}", token
    for odd in (ABSENT, None, 256, ["ES256"], {"alg": "ES256"}, True):
        token = forge.token(forge.header(alg=odd), forge.claims(), forge.trusted)
        yield f"signed: alg {odd!r:.20}", token
    content, _, signature = right.rpartition(".")
    order = (0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551).to_bytes(32, "big")
    raw = base64.urlsafe_b64decode(signature + "==")
    bad = {
        "zeros": bytes(64),
        "r and s are the order": order * 2,
        "ones": b"\xff" * 64,
        "DER": forge.key.private.sign(content.encode(), ec.ECDSA(hashes.SHA256())),
        "cut": raw[:-1],
        "longer": raw + b"\0",
        "twice": raw * 2,
        "halves swapped": raw[32:] + raw[:32],
        "of the hash of nothing": es256(forge.key.private, b""),
        "of other claims": forge.trusted(b"other"),
    }
    for name, value in bad.items():
        yield f"signature: {name}", f"{content}.{encode(value)}"


def hmac_secrets(forge: Forge) -> dict[str, bytes]:
    """The public key in every form that could be taken for a secret."""
    public = forge.key.public
    encoding, form = serialization.Encoding, serialization.PublicFormat
    jwk = public_jwk(forge.key.private)
    pem = public.public_bytes(encoding.PEM, form.SubjectPublicKeyInfo)
    return {
        "public key in PEM": pem,
        "public key in PEM, stripped": pem.strip(),
        "public key in DER": public.public_bytes(encoding.DER, form.SubjectPublicKeyInfo),
        "public point": public.public_bytes(encoding.X962, form.UncompressedPoint),
        "public JWK": json.dumps(jwk).encode(),
        "kid": forge.key.kid.encode(),
        "empty secret": b"",
    }


def headers(forge: Forge) -> Named:
    """B2: headers that would change what the token means, signed by the registry's own key."""
    changed: dict[str, Json] = {
        "crit unknown": {"crit": ["x"], "x": 1},
        "crit exp": {"crit": ["exp"], "exp": 1},
        "crit empty": {"crit": []},
        "crit null": {"crit": None},
        "crit b64": {"crit": ["b64"], "b64": False},
        "b64 false": {"b64": False},
        "typ JWE": {"typ": "JWE"},
        "typ of an access token": {"typ": "at+jwt"},
        "typ number": {"typ": 1},
        "typ null": {"typ": None},
        "cty JWT": {"cty": "JWT"},
        "enc": {"enc": "A256GCM"},
        "zip": {"zip": "DEF"},
    }
    for name, extra in changed.items():
        token = forge.token(forge.header(**extra), forge.claims(), forge.trusted)
        yield f"signed: {name}", token
    kid = forge.key.kid
    texts = {
        "alg twice": f'{{"alg":"none","alg":"ES256","kid":"{kid}","typ":"JWT"}}',
        "kid twice": f'{{"alg":"ES256","kid":"x","kid":"{kid}","typ":"JWT"}}',
        "a list": f'["ES256","{kid}"]',
        "text": '"ES256"',
        "null": "null",
        "empty": "{}",
        "not JSON": "ES256",
        "NaN": f'{{"alg":"ES256","kid":"{kid}","typ":"JWT","x":NaN}}',
        "deep": f'{{"alg":"ES256","kid":"{kid}","x":{"[" * 2000}{"]" * 2000}}}',
        "trailing": f'{{"alg":"ES256","kid":"{kid}"}} {{}}',
        "single quotes": f"{{'alg':'ES256','kid':'{kid}'}}",
    }
    for name, text in texts.items():
        yield f"signed: header {name}", forge.token(text, forge.claims(), forge.trusted)
    for encoding in ("utf-16", "utf-8-sig", "utf-32-le"):
        coded = json.dumps(forge.header()).encode(encoding)
        yield f"signed: header in {encoding}", forge.token(coded, forge.claims(), forge.trusted)


def missing(forge: Forge) -> Named:
    """B2: without one of the claims."""
    for name in forge.claims():
        yield f"signed: no {name}", forge.right(**{name: ABSENT})
        yield f"signed: {name} null", forge.right(**{name: None})


def claims_of_wrong_types(forge: Forge) -> Named:
    """B2: claims of the wrong type."""
    now = int(time.time())
    times: list[object] = [str(now), "", True, [now], {"time": now}, float("nan"), float("inf")]
    texts: list[object] = [0, True, [], ["x"], {}, "\ud800"]
    odd: dict[str, list[object]] = {
        **dict.fromkeys(("exp", "nbf", "iat"), times),
        **dict.fromkeys(("iss", "sub", "aud", "jti"), texts),
        "access": [*wrong_access(), str(EVERYTHING), {}, True, 0],
        "kho": [
            *("", "local", [], 1, {}, {"source": None, "credential": None}, {"source": 1}),
            *({"source": "local", "credential": number} for number in ODD_NUMBERS),
        ],
    }
    for name, values in odd.items():
        for value in values:
            yield f"signed: {name} {value!a:.90}", forge.right(**{name: value})
    for name in ("exp", "nbf", "iat"):
        for text in ("1e999", "-1e999", "9" * 5000, "9" * 20, "0x7fffffff", "1_000", "+1"):
            claims = json.dumps(forge.claims(**{name: "HERE"})).replace('"HERE"', text)
            token = forge.token(forge.header(), claims, forge.trusted)
            yield f"signed: {name} {text:.12}", token


def wrong_access() -> Iterator[object]:
    """Lists of access with an entry that is none."""
    entry = EVERYTHING.claim()
    yield entry
    yield from ([entry, None], [[entry]], ['["pull"]'], [str(EVERYTHING)])
    odd: tuple[object, ...] = (None, 0, True, {}, [None], [["pull"]], ["pull", 1])
    for key in entry:
        yield [{name: value for name, value in entry.items() if name != key}]
        for value in odd:
            yield [{**entry, key: value}]
    yield [{**entry, "actions": "pull"}]


def wrong_values(forge: Forge) -> Named:
    """B2: right types, wrong values; far enough from now to stay wrong for an hour."""
    now = int(time.time())
    values: dict[str, list[object]] = {
        "exp": [now - 61, now - 86_400, 0, -1, 1.5],
        "nbf": [now + 7200, 2**62, 1e300],
        "iat": [now + 7200, 2**62, 1e300],
        "aud": [
            *("", "other", forge.service + " ", forge.service.upper(), forge.service + "/x"),
            *([forge.service], [forge.service, "other"], [], {forge.service: True}),
        ],
        "iss": ["", "other", forge.issuer + "/", forge.issuer.upper(), forge.url, [forge.issuer]],
        "jti": [""],
    }
    for name, wrong in values.items():
        for value in wrong:
            yield f"signed: {name} {value!r}", forge.right(**{name: value})


def structures(forge: Forge) -> Named:
    """B2: what is not one compact JWS with one JSON object."""
    right = forge.right()
    header, claims, signature = right.split(".")
    admin = encode(json.dumps(forge.claims(sub="user:admin")))
    yield "claims exchanged", f"{header}.{admin}.{signature}"
    yield "header exchanged", f"{encode(json.dumps(forge.header(x=1)))}.{claims}.{signature}"
    yield "signature of another", f"{header}.{claims}.{forge.right(jti='2').rpartition('.')[2]}"
    texts = {
        "header alone": header,
        "two parts": f"{header}.{claims}",
        "no signature": f"{header}.{claims}.",
        "detached": f"{header}..{signature}",
        "no header": f".{claims}.{signature}",
        "dots": "..",
        "a dot before": f".{right}",
        "a dot after": f"{right}.",
        "four parts": f"{right}.{signature}",
        "JWE": f"{header}.{claims}.{signature}.{claims}.{signature}",
        "padding": f"{header}.{claims}.{signature}==",
        "one padding": f"{right}=",
        "padding within": f"{header}=.{claims}.{signature}",
        "a star": right.replace(".", "*", 1),
        "quoted": f'"{right}"',
        "a space within": f"{header}. {claims}.{signature}",
        "a comma after": f"{right},",
        "twice": f"{right},{right}",
        "as base64": base64.b64encode(right.encode()).decode(),
        "flattened JSON": json.dumps(
            {"protected": header, "payload": claims, "signature": signature}
        ),
        "general JSON": json.dumps(
            {"payload": claims, "signatures": [{"protected": header, "signature": signature}]}
        ),
        "plain base64": f"{header}.{claims}.{base64.b64encode(b'>>>???' * 11).decode()}",
        "unused bits": right[:-1] + chr(ord(right[-1]) + 1),
        "long": "A" * 9000,
    }
    yield from texts.items()
    bodies: dict[str, str | bytes] = {
        "nested": right,
        "empty": b"",
        "a list": "[]",
        "null": "null",
        "a number": "1",
        "not UTF-8": b"\xff" + json.dumps(forge.claims()).encode(),
        "in UTF-16": json.dumps(forge.claims()).encode("utf-16"),
        "with a BOM": json.dumps(forge.claims()).encode("utf-8-sig"),
        "sub twice": json.dumps(forge.claims()).replace('"sub"', '"sub":"user:x","sub"'),
        "exp twice": json.dumps(forge.claims()).replace('"exp"', '"exp":1,"exp"'),
        "deep": json.dumps(forge.claims(x="HERE")).replace('"HERE"', "[" * 2000 + "]" * 2000),
        "long": json.dumps(forge.claims(x="x" * 6500)),
        "trailing": json.dumps(forge.claims()) + "{}",
    }
    for name, body in bodies.items():
        yield f"signed: claims {name}", forge.token(forge.header(), body, forge.trusted)
