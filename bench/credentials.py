"""Certificates and tokens of a run: made anew for each server, good for an hour."""

import base64
import json
import subprocess
import time
import uuid
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm

from bench.wire import Connection

USER, PASSWORD = "bench", "a-password-of-one-run"
REPOSITORIES = "bench/**"
TOKEN_SECONDS = 3600
KID = "bench"
# With `khod tls init` the names would be the same: an address and a key on P-256.
_CERTIFICATE = (
    *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=bench"),
    *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
    *("-addext", "subjectAltName=IP:127.0.0.1"),
)


def make_certificate(folder: Path) -> None:
    """A key and a certificate signed by itself: key.pem and cert.pem."""
    folder.mkdir(parents=True, exist_ok=True)
    files = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"))
    _run(*_CERTIFICATE, *files)


def make_key(folder: Path) -> None:
    """A key that signs tokens, key.pem, and its public half as a server reads it, jwks.json."""
    make_certificate(folder)
    public = json.loads(ECAlgorithm.to_jwk(_key(folder).public_key()))
    keys = {"keys": [{**public, "kid": KID, "use": "sig", "alg": "ES256"}]}
    (folder / "jwks.json").write_text(json.dumps(keys))


def make_account(program: str, data: str) -> None:
    """A user of khod who may push and pull what the scenarios use."""
    where = ("--data", data)
    _run(program, "users", "add", USER, "--password-stdin", *where, stdin=PASSWORD)
    _run(program, "grants", "add", f"user:{USER}", "writer", REPOSITORIES, *where)


def basic(user: str, password: str) -> str:
    """The header of Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def fetch_token(connection: Connection, repository: str) -> str:
    """A token by the server's own /token."""
    query = f"service=kho&scope=repository:{repository}:pull,push"
    asked = {"Authorization": basic(USER, PASSWORD)}
    reply = connection.request("GET", f"/token?{query}", asked).expect(200)
    return str(json.loads(reply.body)["token"])


def sign_token(folder: Path, repository: str) -> str:
    """A token with the claims, the signature and the header that khod's own have."""
    now = int(time.time())
    claims: dict[str, object] = {
        "iss": "bench",
        "sub": USER,
        "aud": "bench",
        "exp": now + TOKEN_SECONDS,
        "nbf": now,
        "iat": now,
        "jti": str(uuid.uuid4()),
        "access": [{"type": "repository", "name": repository, "actions": ["pull", "push"]}],
    }
    return jwt.encode(claims, _key(folder), "ES256", {"kid": KID})


def _key(folder: Path) -> EllipticCurvePrivateKey:
    key = load_pem_private_key((folder / "key.pem").read_bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return key


def _run(*command: str, stdin: str = "") -> None:
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        words = " ".join(command[:3])
        raise RuntimeError(f"{words}: {(done.stderr or done.stdout).strip()[-400:]}")
