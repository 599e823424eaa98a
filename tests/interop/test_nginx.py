"""nginx in front, configured as docs/operate/tls.md says, word for word but for paths and ports."""

import contextlib
import hashlib
import http.client
import os
import re
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from .clients import ROOT, program
from .processes import daemon, free_port, run

NAME = "registry.example.com"
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass
class Front:
    """The proxy, and what its clients need."""

    port: int
    server: trustme.CA
    clients: trustme.CA

    def context(self, user: str = "") -> ssl.SSLContext:
        """A client's; with a certificate when it has a name."""
        context = ssl.create_default_context()
        self.server.configure_trust(context)
        if user:
            self.clients.issue_cert("x@example.com", common_name=user).configure_cert(context)
        return context

    def ask(
        self, method: str, path: str, body: bytes = b"", user: str = "", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request through the proxy."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        connection = http.client.HTTPSConnection(
            "localhost", self.port, timeout=60, context=self.context(user)
        )
        with contextlib.closing(connection):
            connection.request(method, path, body or None, {"Host": NAME, **named})
            answer = connection.getresponse()
            told = {key.lower(): value for key, value in answer.getheaders()}
            return answer.status, told, answer.read()


def fenced(kind: str, word: str) -> str:
    """The block of that language in the document that holds the word."""
    text = (ROOT / "docs/operate/tls.md").read_text()
    blocks: list[str] = re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return next(block for block in blocks if word in block)


def nginx_configuration(home: Path, port: int, khod_port: int) -> str:
    """The document's server inside what Debian's package has around it."""
    server = fenced("nginx", "server")
    for old, new in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("127.0.0.1:5000", f"127.0.0.1:{khod_port}"),
        (f"/etc/letsencrypt/live/{NAME}/fullchain.pem", str(home / "server.crt")),
        (f"/etc/letsencrypt/live/{NAME}/privkey.pem", str(home / "server.key")),
        ("/etc/kho/clients.pem", str(home / "clients.crt")),
    ):
        assert old in server
        server = server.replace(old, new)
    places = "".join(f"{name}_temp_path {home}/{name};\n" for name in _TEMPORARY)
    user = "user root;" if os.geteuid() == 0 else ""
    around = f"daemon off; {user} pid {home}/nginx.pid; error_log {home}/error.log;"
    return f"{around}\nevents {{}}\nhttp {{\naccess_log off;\n{places}{server}}}\n"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """khod with alice, who may write below team/, and nginx before it."""
    home = tmp_path_factory.mktemp("nginx")
    khod, port, inner = Path(sys.executable).with_name("khod"), free_port(), free_port()
    front = Front(port, trustme.CA(), trustme.CA())
    issued = front.server.issue_cert("localhost", NAME)
    issued.cert_chain_pems[0].write_to_path(str(home / "server.crt"))
    issued.private_key_pem.write_to_path(str(home / "server.key"))
    front.clients.cert_pem.write_to_path(str(home / "clients.crt"))
    (home / "nginx.conf").write_text(nginx_configuration(home, port, inner))
    settings = fenced("toml", "trusted_proxies").replace(":5000", f":{inner}")
    (home / "kho.toml").write_text(f'data = "{home}/data"\n{settings}')
    add = f"{khod} users add alice --password-stdin --data {home}/data"
    run("sh", "-c", f"echo a long enough password | {add}")
    run(khod, "grants", "add", "user:alice", "writer", "team/**", "--data", home / "data")
    log = home / "khod.log"
    with (
        daemon(
            [khod, "serve", "--config", home / "kho.toml"],
            log,
            lambda: b" ready at " in log.read_bytes(),
        ),
        daemon([program("nginx"), "-c", home / "nginx.conf"], home / "nginx.log", lambda: up(port)),
    ):
        yield front


def up(port: int) -> bool:
    with contextlib.suppress(OSError):
        ssl.get_server_certificate(("127.0.0.1", port), timeout=2)
        return True
    return False


def test_the_challenge_names_the_public_url(front: Front) -> None:
    status, headers, _ = front.ask("GET", "/v2/")
    assert status == 401
    assert f'realm="https://{NAME}/token"' in headers["www-authenticate"]


def test_the_certificate_is_the_identity(front: Front) -> None:
    assert front.ask("GET", "/v2/", user="alice")[0] == 200
    assert front.ask("GET", "/v2/", X_Client_Subject="CN=alice")[0] == 401
    assert front.ask("POST", "/v2/team/a/blobs/uploads/", user="alice")[0] == 202
    assert front.ask("POST", "/v2/other/a/blobs/uploads/", user="alice")[0] == 403
    for user in ("mallory", "Alice", "alice,CN=admin"):
        status = front.ask("POST", "/v2/team/a/blobs/uploads/", user=user)[0]
        assert status in {401, 403}, user
    push = "/v2/team/a/blobs/uploads/"
    assert front.ask("POST", push, user="mallory", X_Client_Subject="CN=alice")[0] != 202


def test_a_large_layer_goes_both_ways(front: Front) -> None:
    layer = os.urandom(1024 * 1024) * 64
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    path = f"/v2/team/a/blobs/uploads/?digest={digest}"
    kind = {"Content_Type": "application/octet-stream"}
    assert front.ask("POST", path, layer, user="alice", **kind)[0] == 201
    status, _, body = front.ask("GET", f"/v2/team/a/blobs/{digest}", user="alice")
    assert (status, body == layer) == (200, True)
