"""A khod that knows its users, over plain HTTP or over TLS with a lab's own CA."""

import base64
import contextlib
import http.client
import json
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .processes import outcome, run
from .servers import KHOD, Server, serving
from .small_images import SmallImage
from .wire import ANY_MANIFEST, Answer

PASSWORDS = {
    "willa": "writes-everywhere-42",
    "rita": "reads-everywhere-42",
    "mona": "deletes-as-well-42",
    "paula": "pushes-to-public-42",
}
GRANTS = {
    "willa": ("writer", "**"),
    "rita": ("reader", "**"),
    "mona": ("maintainer", "**"),
    "paula": ("writer", "public/**"),
}
PUBLIC = "public/image"
# A name that only the private /etc/hosts of dockerd knows.
LAB_NAME = "registry.kho.test"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A server with accounts that have the grants above; PUBLIC is for everybody."""

    server: Server
    ca: Path | None = None

    @property
    def host(self) -> str:
        """Host and port, as an image reference begins; the certificate holds the name."""
        return f"localhost:{self.server.port}"

    def at(self, port: int) -> "Guarded":
        """The same server behind a proxy on another port."""
        moved = Server(self.server.pid, port, self.server.data, self.server.log)
        return Guarded(moved, self.ca)

    def khod(self, *words: str, stdin: str | None = None) -> str:
        """What an operator's command prints."""
        data = ("--data", self.server.data)
        return run(KHOD, *words, *data, stdin=stdin).strip()

    def digest(self, repository: str, tag: str) -> str | None:
        """The digest of a tag, asked for by willa with her password."""
        answer = self.ask("HEAD", f"/v2/{repository}/manifests/{tag}", "willa")
        return answer.headers["Docker-Content-Digest"] if answer.status == 200 else None

    def seed(self, repository: str, image: SmallImage) -> None:
        """Push an image to the tag 1 as willa, without any client."""
        blobs = image.layout / "blobs/sha256"
        entry = json.loads((image.layout / "index.json").read_bytes())["manifests"][0]
        for blob in blobs.iterdir():
            path = f"/v2/{repository}/blobs/uploads/?digest=sha256:{blob.name}"
            assert self.ask("POST", path, "willa", blob.read_bytes()).status == 201
        manifest = blobs / image.digest.removeprefix("sha256:")
        path, kind = f"/v2/{repository}/manifests/1", entry["mediaType"]
        assert self.ask("PUT", path, "willa", manifest.read_bytes(), kind).status == 201

    def ask(
        self,
        method: str,
        path: str,
        user: str | None = None,
        body: bytes | None = None,
        kind: str = "application/octet-stream",
    ) -> Answer:
        """One request on a connection of its own, with Basic credentials."""
        headers = {"Accept": ANY_MANIFEST}
        if body is not None:
            headers["Content-Type"] = kind
        if user:
            pair = f"{user}:{PASSWORDS[user]}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        connection = http.client.HTTPConnection("localhost", self.server.port, timeout=30)
        if self.ca:
            trusted = ssl.create_default_context(cafile=self.ca)
            connection = http.client.HTTPSConnection(
                "localhost", self.server.port, timeout=30, context=trusted
            )
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()


@contextlib.contextmanager
def guarded(
    home: Path,
    *,
    tls: bool = False,
    people: Iterable[str] = PASSWORDS,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Guarded]:
    """Run a server with these accounts."""
    home.mkdir(parents=True, exist_ok=True)
    data = home / "data"
    _make_accounts(data, people)
    ca, certificate = _lab(home / "lab") if tls else (None, {})
    with serving(home, settings={**certificate, **(settings or {})}) as server:
        yield Guarded(server, ca)


def _make_accounts(data: Path, people: Iterable[str]) -> None:
    data.mkdir()
    at = ("--data", data)
    for name in people:
        add = (KHOD, "users", "add", name, "--password-stdin", *at)
        outcome(*add, stdin=PASSWORDS[name]).must_succeed()
        outcome(KHOD, "grants", "add", f"user:{name}", *GRANTS[name], *at).must_succeed()
    outcome(KHOD, "repos", "set", PUBLIC, "--public", *at).must_succeed()


def _lab(folder: Path) -> tuple[Path, dict[str, str]]:
    """A CA and a certificate by `khod tls init`; the CA's file and the settings of the server."""
    names = (name for host in ("localhost", LAB_NAME) for name in ("--name", host))
    outcome(KHOD, "tls", "init", "--folder", folder, *names).must_succeed()
    certificate = {
        "KHO_TLS_CERT": str(folder / "server.crt"),
        "KHO_TLS_KEY": str(folder / "server.key"),
    }
    return folder / "ca.crt", certificate
