"""certbot gets and renews a certificate through khod; an ACME server checks the challenges.

The authority is pebble, the test server of Let's Encrypt; names are resolved by its companion.
"""

import contextlib
import http.client
import json
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509

from .clients import program
from .processes import daemon, free_port, run, wait_until

NAME = "kho.example.test"


@dataclass(frozen=True)
class Acme:
    """An ACME server, and the port where it asks for challenges."""

    directory: str
    http_port: int
    roots: Path


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acme]:
    """Pebble with its own certificate, resolving every name to this machine."""
    home = tmp_path_factory.mktemp("acme")
    khod = Path(sys.executable).with_name("khod")
    run(khod, "tls", "init", "--folder", home, "--name", "localhost")
    dns, port, management, http_port = (free_port() for _ in range(4))
    config = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(home / "server.crt"),
        "privateKey": str(home / "server.key"),
        "httpPort": http_port,
        "tlsPort": free_port(),
        "retryAfter": {"authz": 1, "order": 1},
        "keyAlgorithm": "ecdsa",
        "profiles": {"default": {"description": "default", "validityPeriod": 7776000}},
    }
    (home / "pebble.json").write_text(json.dumps({"pebble": config}))
    names: list[str | Path] = [program("pebble-challtestsrv"), "-defaultIPv6", ""]
    for kind in ("http01", "https01", "tlsalpn01", "doh"):
        names += [f"-{kind}", ""]
    names += ["-dnsserver", f"127.0.0.1:{dns}", "-management", f"127.0.0.1:{free_port()}"]
    server: list[str | Path] = [
        program("pebble"),
        "-config",
        home / "pebble.json",
        "-dnsserver",
        f"127.0.0.1:{dns}",
    ]
    # Pebble waits a random while before it checks, and refuses one nonce of twenty, by default.
    calm = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PATH": "/usr/bin:/bin"}
    directory = f"https://localhost:{port}/dir"
    trusted = ssl.create_default_context(cafile=str(home / "ca.crt"))
    with (
        daemon(names, home / "names.log", lambda: True),
        daemon(server, home / "pebble.log", lambda: _speaks(port, trusted), calm),
    ):
        yield Acme(directory, http_port, home / "ca.crt")


def _speaks(port: int, context: ssl.SSLContext) -> bool:
    connection = http.client.HTTPSConnection("localhost", port, timeout=2, context=context)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.request("GET", "/dir", headers={"User-Agent": "test"})  # it insists
        return connection.getresponse().status == 200
    return False


class Operator:
    """Who runs certbot, beside a khod that serves challenges and watches its certificate."""

    def __init__(self, acme: Acme, home: Path) -> None:
        self.acme, self.home = acme, home
        self.webroot = home / "webroot"
        self.webroot.mkdir()
        self.live = home / "certbot/config/live" / NAME

    def certbot(self, *words: str) -> None:
        """As the manual tells."""
        folders = [
            word
            for name in ("config", "work", "logs")
            for word in (f"--{name}-dir", str(self.home / "certbot" / name))
        ]
        run(
            program("certbot"),
            *words,
            *("--non-interactive", "--agree-tos", "--register-unsafely-without-email"),
            *("--server", self.acme.directory, *folders),
            env={"REQUESTS_CA_BUNDLE": str(self.acme.roots)},
        )

    @contextlib.contextmanager
    def serving(self, port: int) -> Iterator[Path]:
        """Khod with the certificate that is configured in kho.toml; its log."""
        khod, log = (
            Path(sys.executable).with_name("khod"),
            self.home / f"khod.{time.monotonic_ns()}.log",
        )
        command: list[str | Path] = [khod, "serve", "--config", self.home / "kho.toml", "--open"]
        command += ["--data", self.home / "data", "--listen", f"127.0.0.1:{port}"]
        with daemon([*command, "--workers", "2"], log, lambda: b" ready at " in log.read_bytes()):
            yield log

    def configure(self, cert: Path, key: Path) -> None:
        """The settings of khod."""
        (self.home / "kho.toml").write_text(
            f'[tls]\ncert = "{cert}"\nkey = "{key}"\nacme_folder = "{self.webroot}"\n'
            f'http_listen = "127.0.0.1:{self.acme.http_port}"\n'
        )


def serial(port: int) -> int:
    """Of the certificate that is shown."""
    pem = ssl.get_server_certificate(("127.0.0.1", port), timeout=20)
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def issued(live: Path) -> int:
    """The serial number of what certbot has."""
    return x509.load_pem_x509_certificate((live / "cert.pem").read_bytes()).serial_number


class Client:
    """Asks again and again over one connection and over new ones; counts what fails."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers, self.errors = 0, list[str]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        context = ssl._create_unverified_context()  # which certificate is looked at elsewhere
        while not self._ended.is_set():
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context)
            try:
                for _ in range(3):
                    connection.request("GET", "/v2/")
                    assert connection.getresponse().read() == b"{}"
                    self.answers += 1
            except Exception as error:  # noqa: BLE001  told by the test
                self.errors.append(repr(error))
            finally:
                connection.close()


def test_certbot_obtains_and_renews_through_khod(acme: Acme, tmp_path: Path) -> None:
    operator, port = Operator(acme, tmp_path), free_port()
    khod = Path(sys.executable).with_name("khod")
    run(khod, "tls", "init", "--folder", tmp_path / "first", "--name", NAME)
    operator.configure(tmp_path / "first/server.crt", tmp_path / "first/server.key")
    with operator.serving(port):
        operator.certbot("certonly", "--webroot", "-w", str(operator.webroot), "-d", NAME)
    live = operator.live
    operator.configure(live / "fullchain.pem", live / "privkey.pem")
    with operator.serving(port) as log, Client(port) as client:
        first = issued(live)
        assert serial(port) == first
        operator.certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")
        second = issued(live)
        assert second != first
        wait_until(
            lambda: {serial(port) for _ in range(6)} == {second}, 30, "the new one is served"
        )
    assert client.errors == []
    assert client.answers > 10
    assert "certificate not reloaded" not in log.read_text()
