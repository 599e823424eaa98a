"""`khod tls`: a CA and a certificate for a lab, and a look at certificates."""

import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kho.server.commands import authority
from kho.server.commands.operator import as_json, fail

if TYPE_CHECKING:
    from cryptography import x509

_ADVICE = """\
Serve with it:
  khod serve --listen 0.0.0.0:{port} --tls-cert {cert} --tls-key {key}

Clients must trust {ca}. Copy it to each of them, then, as root:
  docker                   mkdir -p /etc/docker/certs.d/{host}:{port}
                           cp ca.crt /etc/docker/certs.d/{host}:{port}/ca.crt
  podman, skopeo, buildah  mkdir -p /etc/containers/certs.d/{host}:{port}
                           cp ca.crt /etc/containers/certs.d/{host}:{port}/ca.crt
  containerd               mkdir -p /etc/containerd/certs.d/{host}:{port}
                           cp ca.crt /etc/containerd/certs.d/{host}:{port}/ca.crt
                           and in hosts.toml beside it:
                             server = "https://{host}:{port}"
                             ca = "/etc/containerd/certs.d/{host}:{port}/ca.crt"
                             [host."https://{host}:{port}"]
                               ca = "/etc/containerd/certs.d/{host}:{port}/ca.crt"
  all of it, on Debian     cp ca.crt /usr/local/share/ca-certificates/kho-lab.crt
                           update-ca-certificates
  all of it, on Fedora     cp ca.crt /etc/pki/ca-trust/source/anchors/kho-lab.crt
                           update-ca-trust\
"""


@click.group("tls")
def group() -> None:
    """Certificates for a lab.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 5 there is one already.
    """


@group.command("init")
@click.option("--folder", metavar="DIR", default="tls", help="Where the files go  [./tls].")
@click.option(
    "--name",
    "names",
    metavar="HOST",
    multiple=True,
    help="What clients call the server; again for more  [this machine's name].",
)
@click.option(
    "--days",
    type=click.IntRange(1, 825),
    default=825,
    help="How long the certificate is good  [825].",
)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, help="In the advice  [5000].")
def init(folder: str, names: tuple[str, ...], days: int, port: int) -> None:
    """Make a private CA and a certificate of the server.

    The CA can sign for the names given here alone, so trusting it costs little. Nothing is
    overwritten; with server.crt and server.key removed, they are made anew by the same CA.
    """
    wanted = names or (socket.gethostname(),)
    files = authority.files_in(Path(folder))
    try:
        cert = authority.make(Path(folder), wanted, days)
    except authority.Refused as error:
        fail(str(error), code=5 if error.exists else 2)
    except OSError as error:
        fail(f"{error.filename} cannot be written: {error.strerror}")
    click.echo(f"CA           {files.ca}  (its key, {files.ca_key}, stays here)")
    click.echo(f"certificate  {files.cert}  for {', '.join(_names(cert))}")
    click.echo(f"             until {cert.not_valid_after_utc:%Y-%m-%d}")
    click.echo(f"key          {files.key}\n")
    host = f"[{wanted[0]}]" if ":" in wanted[0] and wanted[0][0] != "[" else wanted[0]
    values = {"host": host, "port": port, "cert": files.cert, "key": files.key, "ca": files.ca}
    click.echo(_ADVICE.format(**values))


@group.command("show")
@click.argument("file", metavar="FILE")
@as_json
def show(file: str, *, json_wanted: bool) -> None:
    """Print whose each certificate of FILE is, and how long it is good."""
    from cryptography import x509  # noqa: PLC0415

    try:
        found = x509.load_pem_x509_certificates(Path(file).read_bytes())
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")
    except ValueError:
        fail(f"{file} holds no certificate (PEM)")
    rows = [_described(one) for one in found]
    if json_wanted:
        click.echo(json.dumps(rows))
        return
    width = max(len(key) for key in rows[0])
    for number, row in enumerate(rows):
        click.echo(nl=number > 0)
        for key, value in row.items():
            text = ", ".join(value) if isinstance(value, list) else str(value)
            click.echo(f"{key.replace('_', ' '):{width}}  {text or '-'}")


def _names(cert: "x509.Certificate") -> list[str]:
    """What the certificate is for."""
    from cryptography import x509  # noqa: PLC0415

    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [str(getattr(one.value, "rfc4514_string", lambda v=one.value: v)()) for one in names]


def _described(cert: "x509.Certificate") -> dict[str, object]:
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    left = (cert.not_valid_after_utc - datetime.now(UTC)).days
    return {
        "subject": cert.subject.rfc4514_string(),
        "names": _names(cert),
        "issuer": cert.issuer.rfc4514_string(),
        "valid_from": cert.not_valid_before_utc.isoformat(),
        "valid_until": cert.not_valid_after_utc.isoformat(),
        "days_left": left,
        "sha256": cert.fingerprint(SHA256()).hex(),
    }
