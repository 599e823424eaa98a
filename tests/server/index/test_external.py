"""Tokens of an external token server: which are believed, and by which keys."""

import base64
import datetime as dt
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from kho.oci.errors import Unauthorized, Unavailable
from kho.oci.scope import Scope
from kho.server.config import load
from kho.server.index.jose.jwk import algorithms_of
from kho.server.index.tokens import external
from kho.server.policy.identity import Claims
from kho.server.resources import Memory, Resources
from tests.issuer import make_key, signed

ACCESS = [{"type": "repository", "name": "a/b", "actions": ["pull", "push"]}]


class Certified:
    """A key with a certificate by an authority, or by itself."""

    def __init__(self, name: str, by: "Certified | None" = None, **more: Any) -> None:
        self.key = more.get("key") or make_key("ES256")
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        days: tuple[int, int] = more.get("days", (-1, 1))
        builder = x509.CertificateBuilder(
            issuer_name=(by or self).subject,
            subject_name=self.subject,
            public_key=self.key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now + dt.timedelta(days=days[0]),
            not_valid_after=now + dt.timedelta(days=days[1]),
        )
        for extension, critical in more.get("extensions", authority()):
            builder = builder.add_extension(extension, critical)
        signer = (by or self).key
        self.certificate = builder.sign(signer, more.get("hash", hashes.SHA256()))

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def x5c(self) -> str:
        return base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()

    @property
    def thumbprint(self) -> str:
        jwk = jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        text = json.dumps({k: jwk[k] for k in ("crv", "kty", "x", "y")}, separators=(",", ":"))
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()[:43]

    @property
    def libtrust(self) -> str:
        public = self.key.public_key()
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
        return ":".join(text[at : at + 4] for at in range(0, 48, 4))


def authority(length: int | None = None, sign: bool = True) -> list[tuple[Any, bool]]:
    """The extensions of a certificate authority."""
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    usage |= dict.fromkeys(("encipher_only", "decipher_only", "crl_sign"), False)
    key_usage = x509.KeyUsage(digital_signature=True, key_cert_sign=sign, **usage)
    return [(x509.BasicConstraints(ca=True, path_length=length), True), (key_usage, True)]


LEAF: list[tuple[Any, bool]] = [(x509.BasicConstraints(ca=False, path_length=None), True)]


def claims(**changes: object) -> dict[str, object]:
    now = int(time.time())
    found: dict[str, object] = {
        "iss": "auth.example",
        "sub": "alice",
        "aud": "registry.example",
        "exp": now + 300,
        "nbf": now - 10,
        "iat": now,
        "jti": "1",
        "access": ACCESS,
        **changes,
    }
    return {name: value for name, value in found.items() if value is not None}


Made = Callable[..., Resources]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A worker with an external token server: roots, and further keys as a JWKS."""

    def make(*roots: Certified, jwks: Sequence[dict[str, Any]] = (), **flags: object) -> Resources:
        settings: dict[str, object] = {
            "token.realm": "https://auth.example/token",
            "token.service": "registry.example",
            "token.issuer": "auth.example",
            **flags,
        }
        if roots:
            (tmp_path / "roots.pem").write_bytes(b"".join(root.pem for root in roots))
            settings["token.rootcertbundle"] = str(tmp_path / "roots.pem")
        if jwks:
            (tmp_path / "keys.json").write_text(json.dumps({"keys": jwks}))
            settings["token.jwks"] = str(tmp_path / "keys.json")
        config = load(settings, {})
        external.check(config)
        # Neither rows nor bytes are needed.
        return Resources(config, None, None, Memory())  # type: ignore[arg-type]

    return make


async def refusal(resources: Resources, token: str) -> str:
    with pytest.raises(Unauthorized) as caught:
        await external.verify(resources, token)
    return caught.value.message


def token(by: Certified, header: dict[str, object], **changes: object) -> str:
    return signed({"typ": "JWT", "alg": "ES256", **header}, claims(**changes), by.key)


async def test_a_key_of_the_bundle_is_named_by_thumbprint_libtrust_id_or_chain(
    made: Made,
) -> None:
    root = Certified("root")
    resources = made(root)
    for header in ({"kid": root.thumbprint}, {"kid": root.libtrust}, {"x5c": [root.x5c]}):
        found = await external.verify(resources, token(root, dict(header)))
        scope = Scope("repository", "a/b", frozenset({"pull", "push"}))
        assert found == Claims("external:alice", "external", None, (scope,), found.expires_at)
        assert 290 < found.expires_at - time.time() < 310
    assert len(root.libtrust.split(":")) == 12


async def test_a_jwks_names_its_keys(made: Made) -> None:
    key = make_key("RS256")
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    jwk.pop("key_ops", None)
    resources = made(jwks=[{**jwk, "kid": "one"}])
    for algorithm in ("RS256", "PS512"):
        text = signed({"alg": algorithm, "kid": "one"}, claims(), key)
        assert (await external.verify(resources, text)).subject == "external:alice"
    assert "not known ('two')" in await refusal(
        resources, signed({"alg": "RS256", "kid": "two"}, claims(), key)
    )
    only = made(jwks=[{**jwk, "kid": "one", "alg": "RS256"}])
    assert "the key's (RS256)" in await refusal(
        only, signed({"alg": "PS512", "kid": "one"}, claims(), key)
    )
    allowed = made(jwks=[{**jwk, "kid": "one"}], **{"token.algorithms": "ES256,PS512"})
    assert "token.algorithms" in await refusal(
        allowed, signed({"alg": "RS256", "kid": "one"}, claims(), key)
    )


async def test_a_chain_may_lead_to_the_bundle_by_other_certificates(made: Made) -> None:
    root = Certified("root", extensions=authority(1))
    between = Certified("between", root, extensions=authority(0))
    leaf = Certified("leaf", between, extensions=LEAF)
    resources = made(Certified("other"), root)
    for chain in ([leaf, between], [leaf, between, root], [between]):
        header: dict[str, object] = {"x5c": [one.x5c for one in chain]}
        assert (
            await external.verify(resources, token(chain[0], header))
        ).subject == "external:alice"


def chains() -> dict[str, tuple[Certified, list[Certified], Certified]]:
    """By name: the root that is known, the chain that is shown, who signs."""
    root = Certified("root")
    stranger = Certified("root")  # of the same name
    leaf = Certified("leaf", root, extensions=LEAF)
    short = Certified("root", extensions=authority(0))
    between = Certified("between", short)
    old = Certified("root", days=(-9, -1))
    mute = Certified("root", extensions=authority(sign=False))
    critical = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    elder = Certified("between", root, days=(-9, -1))
    return {
        "a stranger's": (root, [Certified("leaf", stranger, extensions=LEAF)], stranger),
        "a stranger's, with the root": (root, [Certified("leaf", stranger), root], stranger),
        "signed by another key": (root, [leaf], stranger),
        "by a leaf": (root, [Certified("x", leaf), leaf], root),
        "by an authority that may not sign": (mute, [Certified("leaf", mute)], mute),
        "longer than allowed": (short, [Certified("leaf", between), between], short),
        "expired": (root, [Certified("leaf", root, days=(-9, -1))], root),
        "not yet": (root, [Certified("leaf", root, days=(1, 9))], root),
        "root expired": (old, [Certified("leaf", old, extensions=LEAF)], old),
        "expired between": (root, [Certified("leaf", elder), elder], root),
        "critical": (root, [Certified("leaf", root, extensions=[(critical, True)])], root),
        "without its authority": (root, [Certified("leaf", Certified("between", root))], root),
        "in another order": (root, [root, leaf], leaf),
    }


CHAINS = chains()


@pytest.mark.parametrize("name", CHAINS)
async def test_a_chain_that_does_not_lead_to_the_bundle_is_refused(made: Made, name: str) -> None:
    root, chain, by = CHAINS[name]
    resources = made(root)
    # Signed by the key that the chain shows, unless the key is what is wrong.
    signer = by if name in {"signed by another key", "in another order"} else chain[0]
    text = token(signer, {"x5c": [one.x5c for one in chain]})
    reason = await refusal(resources, text)
    assert "does not chain" in reason or "signature" in reason


@pytest.mark.parametrize("x5c", [[], "text", [1], ["!"], ["AAAA"], None, ["A" * 9] * 9])
async def test_what_is_no_chain_is_refused(made: Made, x5c: object) -> None:
    root = Certified("root")
    assert "not valid here" in await refusal(made(root), token(root, {"x5c": x5c}))


async def test_a_key_in_the_header_is_never_believed(made: Made) -> None:
    root, stranger = Certified("root"), Certified("stranger")
    resources = made(root)
    own = jwt.algorithms.ECAlgorithm.to_jwk(stranger.key.public_key(), as_dict=True)
    for header in (
        {"jwk": own},
        {"jwk": {**own, "kid": root.thumbprint}},
        {"jwk": own, "kid": root.thumbprint},  # CVE-2025-24976
        {"jwk": {**own, "x5c": [root.x5c]}},
        {"jwk": own, "x5c": [stranger.x5c]},
        {"kid": stranger.thumbprint},
        {"jku": "https://stranger.example/keys", "kid": "1"},
        {},
    ):
        assert "not valid here" in await refusal(resources, token(stranger, dict(header)))


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"iss": "other"}, "issuer"),
        ({"iss": ["auth.example"]}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"aud": "other"}, "another service"),
        ({"aud": ["x", "y"]}, "another service"),
        ({"aud": None}, "another service"),
        ({"exp": None}, "no exp"),
        ({"exp": 1_000_000}, "expired"),
        ({"nbf": 99_999_999_999}, "nbf"),
        ({"sub": 7}, "sub"),
        ({"sub": "a\nb"}, "sub"),
        ({"sub": "a" * 256}, "sub"),
        ({"access": "repository:a/b:pull"}, "access"),
        ({"access": [{"type": "repository", "name": "a/b", "actions": "pull"}]}, "access"),
        ({"access": [{"type": "repository", "actions": ["pull"]}]}, "access"),
        ({"access": [*ACCESS, None]}, "access"),
        ({"access": ACCESS * 1000}, "longer than"),
    ],
)
async def test_wrong_claims_are_refused(
    made: Made, changes: dict[str, object], reason: str
) -> None:
    root = Certified("root")
    assert reason in await refusal(made(root), token(root, {"kid": root.thumbprint}, **changes))


async def test_claims_as_other_servers_make_them(made: Made) -> None:
    root = Certified("root")
    resources = made(root)
    header: dict[str, object] = {"kid": root.libtrust}
    found = await external.verify(
        resources,
        token(
            root, header, aud=["x", "registry.example"], sub=None, access=None, iat=None, nbf=None
        ),
    )
    assert found[:4] == ("external:anonymous", "external", None, ())
    near = token(root, header, exp=int(time.time()) - 30, nbf=int(time.time()) + 30)
    assert (await external.verify(resources, near)).subject == "external:alice"
    twice = [
        {"type": "repository", "class": "", "name": "a/b", "actions": ["pull"]},
        {"type": "repository(plugin)", "name": "a/b", "actions": ["push"]},
        {"type": "registry", "name": "catalog", "actions": ["*"]},
        {"type": "repository", "name": "c", "actions": None},
    ]
    access = (await external.verify(resources, token(root, header, access=twice))).access
    assert access == (
        Scope("repository", "a/b", frozenset({"pull", "push"})),
        Scope("registry", "catalog", frozenset({"*"})),
        Scope("repository", "c", frozenset()),
    )


async def test_files_are_read_again_when_they_change_and_kept_when_they_break(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external, "LOOK_SECONDS", 0.0)
    one, two = Certified("root"), Certified("root")
    resources = made(one)
    by_one, by_two = (token(root, {"kid": root.thumbprint}) for root in (one, two))
    await external.verify(resources, by_one)
    assert "not known" in await refusal(resources, by_two)
    bundle = tmp_path / "roots.pem"
    (tmp_path / "new.pem").write_bytes(two.pem)
    os.replace(tmp_path / "new.pem", bundle)
    await external.verify(resources, by_two)
    assert "not known" in await refusal(resources, by_one)
    bundle.write_bytes(b"half of it")
    await external.verify(resources, by_two)
    bundle.unlink()
    await external.verify(resources, by_two)
    fresh = Resources(resources.config, resources.database, resources.storage)
    with pytest.raises(Unavailable):
        await external.verify(fresh, by_two)


def test_wrong_settings_are_told(made: Made, tmp_path: Path) -> None:
    root = Certified("root")
    external.check(load({}, {}))
    (tmp_path / "bad").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "empty.json").write_text('{"keys": []}')
    for flags, words in (
        ({"token.realm": ""}, "not token.realm"),
        ({"token.service": ""}, "not token.service"),
        ({"token.issuer": ""}, "not token.issuer"),
        ({"token.algorithms": ""}, "token.algorithms is empty"),
        ({"token.jwks": str(tmp_path / "absent")}, "cannot be read: No such file"),
        ({"token.jwks": str(tmp_path / "bad")}, "not JSON"),
        ({"token.jwks": str(tmp_path / "empty.json")}, "no key"),
        ({"token.rootcertbundle": str(tmp_path)}, "cannot be read: Is a directory"),
    ):
        with pytest.raises(ValueError, match=words):
            made(*([] if "token.rootcertbundle" in flags else [root]), **flags)
    with pytest.raises(ValueError, match="not a PEM file of certificates"):
        made(**{"token.rootcertbundle": str(tmp_path / "bad")})
    with pytest.raises(ValueError, match=r"no keys: token\.rootcertbundle"):
        made()


def test_an_elliptic_key_fits_one_algorithm() -> None:
    for curve, algorithm in ((ec.SECP256R1(), "ES256"), (ec.SECP384R1(), "ES384")):
        assert algorithms_of(ec.generate_private_key(curve).public_key()) == (algorithm,)
    assert algorithms_of(ec.generate_private_key(ec.SECP256K1()).public_key()) == ()
