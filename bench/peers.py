"""THE PEER TABLE: every server that can be measured, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

READ = "read"
WRITE = "write"

DISTRIBUTION_PACKAGE = "github.com/distribution/distribution/v3/cmd/registry"
DISTRIBUTION_VERSION = "v3.1.1"

# The example configuration of 2.8 and 3.x, without its log-in, with deletion switched on.
DISTRIBUTION_CONFIG = """\
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: {data}
  delete:
    enabled: true
http:
  addr: {host}:{port}
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
"""

NGINX_CONFIG = """\
daemon off;
user root;
worker_processes {workers};
pid {data}/nginx.pid;
error_log {data}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_temp_path {data}/temp;
  server {{
    listen {host}:{port};
    root {data}/files;
    dav_methods PUT;
    create_full_put_path on;
    location = /ready {{ return 200; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """One server: how it is found, configured, started and asked whether it is ready.

    `command`, `config` and `environment` know the words {program} {config} {data} {host} {port}
    {workers}.
    A peer that is no registry takes blobs and manifests by one plain PUT (`plain_put`).
    """

    name: str
    title: str
    program: str
    command: tuple[str, ...]
    ready: str
    version: tuple[str, ...] = ("{program}", "--version")
    config: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    go_package: str = ""
    go_version: str = ""
    fallback: str = ""
    abilities: frozenset[str] = frozenset({READ, WRITE})
    plain_put: bool = False


PEERS: tuple[Peer, ...] = (
    Peer(
        name="khod",
        title="Kho",
        program="khod",
        command=(
            "{program}",
            "serve",
            "--data",
            "{data}",
            "--listen",
            "{host}:{port}",
            "--workers",
            "{workers}",
        ),
        ready="/readyz",
    ),
    Peer(
        name="distribution",
        title=f"distribution {DISTRIBUTION_VERSION}",
        program="registry",
        command=("{program}", "serve", "{config}"),
        ready="/v2/",
        config=DISTRIBUTION_CONFIG.replace(
            "  delete:", "  tag:\n    concurrencylimit: 8\n  delete:"
        ),
        # Without this it looks for a trace collector all the time, which only costs it.
        environment={"OTEL_TRACES_EXPORTER": "none"},
        go_package=DISTRIBUTION_PACKAGE,
        go_version=DISTRIBUTION_VERSION,
        fallback="debian",
    ),
    Peer(
        name="debian",
        title="docker-registry of Debian",
        program="docker-registry",
        command=("{program}", "serve", "{config}"),
        ready="/v2/",
        config=DISTRIBUTION_CONFIG,
    ),
    Peer(
        name="nginx",
        title="nginx, static files (the limit)",
        program="nginx",
        command=("{program}", "-c", "{config}", "-p", "{data}", "-e", "{data}/error.log"),
        ready="/ready",
        version=("{program}", "-v"),
        config=NGINX_CONFIG,
        abilities=frozenset({READ}),
        plain_put=True,
    ),
)


def peer_named(name: str) -> Peer:
    """The row of the table with this name; LookupError tells which names exist."""
    for peer in PEERS:
        if peer.name == name:
            return peer
    known = ", ".join(peer.name for peer in PEERS)
    raise LookupError(f"no peer named {name!r} (known: {known})")
