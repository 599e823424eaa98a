"""TLS of `khod serve`: what is spoken, which files are taken, and who must show a certificate."""

import contextlib
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGHUP
from urllib.request import urlopen

import pytest
import trustme
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import PrivateFormat

from kho.server.cli import main
from tests.server.pairs import Pair, ec_key, key_pem, rsa_key, self_signed
from tests.server.serving import Server, serving


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path / "tls")


@contextlib.contextmanager
def secured(data: Path, pair: Pair, **more: object) -> Iterator[Server]:
    """A server that has said that it is ready, and a client that believes it."""
    with serving(data, pair.settings, more) as server:
        server.context = pair.context()
        assert "ready at https://127.0.0.1:" in server.ready()
        yield server


@contextlib.contextmanager
def connected(server: Server, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as one,
    ):
        yield one


def only(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that speaks this version and believes everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_versions_and_protocol(data: Path, pair: Pair) -> None:
    with secured(data, pair) as server:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with connected(server, only(version)) as one:
                assert one.version() == version.name.replace("_", ".")
        with (
            pytest.raises(ssl.SSLError, match="ALERT"),
            connected(server, only(ssl.TLSVersion.TLSv1_1)),
        ):
            pass
        with connected(server, pair.context()) as one:
            assert one.selected_alpn_protocol() == "http/1.1"
        assert int(server.get("/")) in server.pids()
        assert server.stop() == 0


def test_the_oldest_version_can_be_raised(data: Path, pair: Pair) -> None:
    with secured(data, pair, **{"tls.minimum": "1.3"}) as server:
        with pytest.raises(ssl.SSLError), connected(server, only(ssl.TLSVersion.TLSv1_2)):
            pass
        assert server.get("/")


@pytest.mark.parametrize(
    "form", ["rsa pkcs1", "rsa pkcs8", "ec sec1", "ec pkcs8", "ec384 sec1", "ed25519 pkcs8"]
)
def test_keys_of_every_form(form: str, data: Path, pair: Pair) -> None:
    kind, _, written = form.partition(" ")
    made: dict[str, Callable[[], CertificateIssuerPrivateKeyTypes]] = {
        "rsa": rsa_key,
        "ec": ec_key,
        "ec384": lambda: ec_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }
    key = made[kind]()
    old = written in {"pkcs1", "sec1"}
    pair.key.write_bytes(
        key_pem(key, PrivateFormat.TraditionalOpenSSL if old else PrivateFormat.PKCS8)
    )
    pair.cert.write_bytes(self_signed(key))
    pair.ca.write_bytes(pair.cert.read_bytes())
    with secured(data, pair, workers=1) as server:
        server.context.check_hostname = False  # type: ignore[union-attr]
        assert int(server.get("/")) in server.pids(1)


def test_nothing_of_the_key_is_written(data: Path, pair: Pair) -> None:
    secret = pair.key.read_bytes().splitlines()[2]
    with secured(data, pair) as server:
        written = [path for path in data.rglob("*") if path.is_file()]
        assert [path for path in written if secret in path.read_bytes()] == []
        assert secret.decode() not in server.errors()


def encrypted(pair: Pair) -> None:
    pair.key.write_bytes(key_pem(ec_key(), PrivateFormat.PKCS8, b"secret"))


def encrypted_old(pair: Pair) -> None:
    pair.key.write_bytes(key_pem(rsa_key(), PrivateFormat.TraditionalOpenSSL, b"secret"))


def swapped(pair: Pair) -> None:
    cert, key = pair.cert.read_bytes(), pair.key.read_bytes()
    pair.cert.write_bytes(key)
    pair.key.write_bytes(cert)


def certificate_as_key(pair: Pair) -> None:
    pair.key.write_bytes(pair.cert.read_bytes())


def version_one(pair: Pair) -> None:
    command = "openssl req -new -key {0} -subj /CN=localhost | openssl x509 -req -signkey {0}"
    made = subprocess.run(
        ["sh", "-c", command.format(pair.key)], capture_output=True, check=True, timeout=60
    )
    pair.cert.write_bytes(made.stdout)


def other_key(pair: Pair) -> None:
    pair.key.write_bytes(key_pem(ec_key(), PrivateFormat.PKCS8))


def authority_first(pair: Pair) -> None:
    pair.cert.write_bytes(pair.ca.read_bytes() + pair.cert.read_bytes())


def strange_curve(pair: Pair) -> None:
    key = ec_key(ec.SECP521R1())
    pair.key.write_bytes(key_pem(key, PrivateFormat.PKCS8))
    pair.cert.write_bytes(self_signed(key))


def damaged_key(pair: Pair) -> None:
    pair.key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n")


def damaged_certificate(pair: Pair) -> None:
    pair.cert.write_bytes(b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")


MISTAKES = {
    "tls.cert: {cert} cannot be read: No such file or directory": lambda p: p.cert.unlink(),
    "tls.key: {key} cannot be read: No such file or directory": lambda p: p.key.unlink(),
    "tls.cert: {cert} holds no certificate (PEM)": lambda p: p.cert.write_bytes(b""),
    "tls.cert: {cert} is larger than 1 MiB": lambda p: p.cert.write_bytes(bytes(2**20 + 1)),
    "tls.key: {key} holds no key (PEM": lambda p: p.key.write_text("0"),
    "tls.key: {key} is encrypted; ": encrypted,
    "tls.key: {key} is encrypted; decrypt it": encrypted_old,
    "tls.key: {key} is damaged": damaged_key,
    "tls.cert: certificate 1 of {cert} is damaged": damaged_certificate,
    "tls.cert: {cert} holds a key and no certificate; are tls.cert and tls.key swapped?": swapped,
    "tls.key: {key} holds a certificate and no key; are tls.cert": certificate_as_key,
    "tls.key: the key {key} is not that of the certificate {cert}": other_key,
    "tls.cert: the server's own certificate must be the first of {cert}": authority_first,
    "tls.cert: {cert} holds a certificate of X.509 version 1": version_one,
    "tls.key: {key} is of a kind that cannot be used; allowed: RSA": strange_curve,
}


@pytest.mark.parametrize("text", MISTAKES)
def test_one_line_says_what_is_wrong_with_a_file(text: str, data: Path, pair: Pair) -> None:
    MISTAKES[text](pair)
    with serving(data, pair.settings) as server:
        assert server.ended() == 1
        told = server.errors()
        assert told.startswith("khod: " + text.format(cert=pair.cert, key=pair.key))
        assert told.count("\n") == 1
    assert not data.exists()


def test_flags_are_named_as_they_are_written(pair: Pair) -> None:
    words = ["--tls-cert", pair.cert, "--tls-key", pair.key, "--tls-client-ca", pair.ca, "--open"]
    words += ["--public-url", "https://kho.example"]
    told = CliRunner().invoke(main, ["config", "show", "--json", *map(str, words)])
    rows = json.loads(told.stdout)
    assert {key: row["source"] for key, row in rows.items() if row["source"] != "default"} == {
        "tls.cert": "flag --tls-cert",
        "tls.key": "flag --tls-key",
        "tls.client_ca": "flag --tls-client-ca",
        "auth.open": "flag --open",
        "http.public_url": "flag --public-url",
    }
    told = CliRunner().invoke(main, ["serve", "--public-url", "ftp://x"])
    assert told.exit_code == 2
    assert "http.public_url (flag --public-url): 'ftp://x' is not allowed" in told.stderr


@pytest.mark.parametrize(
    "given, text",
    [
        (["tls.cert"], "tls.cert is set, but tls.key is not; both are needed"),
        (["tls.key"], "tls.key is set, but tls.cert is not; both are needed"),
        (["tls.client_ca"], "tls.client_ca is set, but tls.cert and tls.key are not"),
        (["tls.cert", "tls.key", "tls.client_auth"], "tls.client_auth is set, but tls.client_ca"),
        (["tls.http_listen"], "tls.http_listen is set, but tls.cert and tls.key are not"),
    ],
)
def test_settings_that_need_each_other(given: list[str], text: str, data: Path, pair: Pair) -> None:
    all_of_them = {
        **pair.settings,
        "tls.client_ca": pair.ca,
        "tls.client_auth": "required",
        "tls.http_listen": "127.0.0.1:0",
    }
    with serving(data, {key: all_of_them[key] for key in given}) as server:
        assert server.ended() == 1
        assert server.errors().startswith(f"khod: {text}")
    assert not data.exists()


def test_what_only_granian_refuses_ends_the_server(data: Path, pair: Pair) -> None:
    key = ec_key()
    pair.key.write_bytes(key_pem(key, PrivateFormat.PKCS8))
    pair.cert.write_bytes(self_signed(key, strange=True))
    with serving(data, pair.settings) as server:
        assert server.ended() == 1
        assert "UnsupportedCriticalExtension" in server.errors()
        assert server.events("ready") == []


def test_an_expired_certificate_is_served_and_told(data: Path, pair: Pair) -> None:
    pair.issue(expired=True)
    with serving(data, pair.settings) as server:
        server.ready()
        told = server.events("certificate has expired")
        assert [one["level"] for one in told] == ["warning"]
        with pytest.raises(ssl.SSLError, match="expired"), connected(server, pair.context()):
            pass


def test_noise_does_not_keep_others_away(data: Path, pair: Pair) -> None:
    with secured(data, pair, workers=1) as server, contextlib.ExitStack() as stack:
        for number in range(300):
            one = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            stack.enter_context(one)
            if number % 3:
                one.sendall(b"GET / HTTP/1.1\r\n\r\n" if number % 3 == 1 else b"\x16\x03\x01")
        started = time.monotonic()
        assert {int(server.get("/")) for _ in range(5)} == set(server.pids(1))
        assert time.monotonic() - started < 5


@contextlib.contextmanager
def asking(data: Path, pair: Pair, clients: trustme.CA, how: str) -> Iterator[Server]:
    ca = pair.ca.with_name("clients.crt")
    clients.cert_pem.write_to_path(str(ca))
    more = {"tls.client_ca": ca, "tls.client_auth": how}
    with secured(data, pair, **more) as server:
        yield server


def shows(pair: Pair, authority: trustme.CA) -> ssl.SSLContext:
    """A client with a certificate."""
    context = pair.context()
    authority.issue_cert("alice@example.com", common_name="alice").configure_cert(context)
    return context


@pytest.mark.parametrize("how", ["required", "optional"])
def test_certificates_of_clients(how: str, data: Path, pair: Pair) -> None:
    clients = trustme.CA()
    with asking(data, pair, clients, how) as server:
        server.context = shows(pair, clients)
        assert int(server.get("/")) in server.pids()
        server.context = shows(pair, trustme.CA())
        with pytest.raises(OSError, match=r"(?i)alert|reset|certificate|EOF"):
            server.get("/")
        server.context = pair.context()
        if how == "optional":
            assert int(server.get("/")) in server.pids()
        else:
            with pytest.raises(ssl.SSLError, match=r"(?i)certificate required"):
                server.get("/")
        server.signal(SIGHUP)  # nothing changed: the same is asked
        assert server.stop() == 0


def test_plain_http_beside_it_redirects(data: Path, pair: Pair) -> None:
    folder = data.parent / "acme"
    challenges = folder / ".well-known/acme-challenge"
    challenges.mkdir(parents=True)
    (challenges / "a-token").write_text("a-token.thumb")
    more = {"tls.http_listen": "127.0.0.1:0", "tls.acme_folder": folder}
    with secured(data, pair, **more) as server:
        listen = server.events("plain HTTP redirects to https")[0]["listen"]
        found = urlopen(f"http://{listen}/.well-known/acme-challenge/a-token", timeout=20)
        with found:
            assert found.read() == b"a-token.thumb"
        with socket.create_connection(listen.split(":"), timeout=20) as one:
            one.sendall(b"GET /v2/?a=b HTTP/1.1\r\nHost: kho.example:80\r\n\r\n")
            told = one.recv(1000).decode()
        assert told.startswith("HTTP/1.1 307 ")
        assert f"location: https://kho.example:{server.port}/v2/?a=b\r\n" in told
        assert len(server.pids(3)) == 3
        assert int(server.get("/")) in server.pids(3)
        assert server.stop() == 0
