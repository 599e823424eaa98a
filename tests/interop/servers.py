"""The server under test: khod, or Debian's docker-registry to try the tests themselves."""

import contextlib
import http.client
import os
import ssl
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .access_log import AccessLog
from .processes import daemon, free_port

KHOD = Path(sys.executable).with_name("khod")
KIND = os.environ.get("KHO_INTEROP_SERVER", "khod")

_DISTRIBUTION = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {data}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}", secret: interop}}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A registry that answers on loopback."""

    pid: int
    port: int
    data: Path
    log: AccessLog

    @property
    def host(self) -> str:
        """Host and port, as an image reference begins."""
        return f"127.0.0.1:{self.port}"


@contextlib.contextmanager
def serving(
    home: Path,
    port: int | None = None,
    settings: Mapping[str, str] | None = None,
    kind: str = KIND,
) -> Iterator[Server]:
    """Run the server over the data in `home`; a second call over the same folder is a restart.

    `settings` are variables of the server: KHO_TLS_CERT makes khod serve TLS. `kind` may be
    distribution.
    """
    port = port or free_port()
    data, log = home / "data", home / "server.log"
    data.mkdir(parents=True, exist_ok=True)
    command, ready_path = _command(kind, home, data, port)
    env = {name: value for name, value in os.environ.items() if not name.startswith("KHO_")}
    env |= settings or {}
    tls = "KHO_TLS_CERT" in env
    with daemon(command, log, lambda: _answers(port, ready_path, tls=tls), env) as pid:
        yield Server(pid, port, data, AccessLog(log))


def _command(kind: str, home: Path, data: Path, port: int) -> tuple[list[str | Path], str]:
    if kind == "distribution":
        config = home / "distribution.yml"
        config.write_text(_DISTRIBUTION.format(data=data, port=port))
        return ["docker-registry", "serve", config], "/"
    listen = f"127.0.0.1:{port}"
    return [KHOD, "serve", "--data", data, "--listen", listen, "--workers", "2"], "/readyz"


def _answers(port: int, path: str, *, tls: bool) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    if tls:  # the clients check the certificate; here is only asked whether it is up
        unchecked = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=2, context=unchecked)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
