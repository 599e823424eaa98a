"""THE PEER TABLE: every server that can be measured, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

READ = "read"
WRITE = "write"
# It has passwords of its own.
PASSWORDS = "passwords"
# What it lists are rows, which can be written without it.
ROWS = "rows"
# The number of its workers can be set.
WORKERS = "workers"

# How a server is run: open to all, with tokens, or over TLS.
OPEN, TOKENS, TLS = "open", "tokens", "tls"

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
{http}health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
{top}"""

# What a configuration of distribution gains; both files are made before it starts.
DISTRIBUTION_TOKENS = """\
auth:
  token:
    realm: http://{host}:{port}/token
    service: bench
    issuer: bench
    jwks: {secrets}/jwks.json
"""
DISTRIBUTION_TLS = """\
  tls:
    certificate: {secrets}/cert.pem
    key: {secrets}/key.pem
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
class Mode:
    """What a peer is given to be run in another way.

    `http` takes the place of {http} in its configuration, `top` that of {top}.
    """

    http: str = ""
    top: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: str = ""


@dataclass(frozen=True, slots=True)
class Peer:
    """One server: how it is found, configured, started and asked whether it is ready.

    `command`, `config` and `environment` know the words {program} {config} {data} {secrets} {host}
    {port} {workers}.
    A peer that is no registry takes blobs and manifests by one plain PUT (`plain_put`). One that
    shows what the machine can do (`limit`) runs only what says so, and may be missing.
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
    limit: bool = False
    modes: Mapping[str, Mode] = field(default_factory=lambda: {OPEN: Mode()})


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
        abilities=frozenset({READ, WRITE, PASSWORDS, ROWS, WORKERS}),
        modes={
            OPEN: Mode(),
            TOKENS: Mode(environment={"KHO_AUTH_TOKEN_SECONDS": "3600"}),
            TLS: Mode(
                environment={
                    "KHO_TLS_CERT": "{secrets}/cert.pem",
                    "KHO_TLS_KEY": "{secrets}/key.pem",
                }
            ),
        },
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
        modes={
            OPEN: Mode(),
            TOKENS: Mode(top=DISTRIBUTION_TOKENS, ready="/"),
            TLS: Mode(http=DISTRIBUTION_TLS),
        },
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
        title="nginx, static files",
        program="nginx",
        command=("{program}", "-c", "{config}", "-p", "{data}", "-e", "{data}/error.log"),
        ready="/ready",
        version=("{program}", "-v"),
        config=NGINX_CONFIG,
        abilities=frozenset({READ}),
        plain_put=True,
        limit=True,
    ),
)


def peer_named(name: str) -> Peer:
    """The row of the table with this name; LookupError tells which names exist."""
    for peer in PEERS:
        if peer.name == name:
            return peer
    known = ", ".join(peer.name for peer in PEERS)
    raise LookupError(f"no peer named {name!r} (known: {known})")
