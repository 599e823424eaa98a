"""Where a registry's name leads: address, scheme, certificates.

reference's host ─► docker.io is registry-1.docker.io
                 ─► https; on this machine's loopback, http where TLS is not spoken
                 ─► certs.d/<host>/: ca.crt, client certificates, as docker and podman have them

TLS is tried first also on the loopback, and a certificate that does not hold ends the attempt.
"""

import ipaddress
import os
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kho.oci.reference import HUB

_HUB_SERVER: Final = "registry-1.docker.io"
# podman's order; what is found first counts, folder by folder.
_SYSTEM_FOLDERS: Final = ("/etc/containers/certs.d", "/etc/docker/certs.d")


@dataclass(frozen=True, slots=True)
class Access:
    """What the user allows beyond the usual."""

    plain_http: bool = False
    insecure: bool = False
    ca_files: tuple[Path, ...] = ()
    # Hosts that may ask for this registry's credentials, beside those of its own domain.
    auth_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Host:
    """One registry: the name that is written, and the addresses to try in turn."""

    name: str
    urls: tuple[str, ...]
    access: Access

    @property
    def plain(self) -> bool:
        """Whether it may be spoken to without TLS."""
        return self.urls[-1].startswith("http:")

    @classmethod
    def named(cls, name: str, access: Access | None = None) -> "Host":
        """Resolve a reference's host."""
        access = access or Access()
        server = _HUB_SERVER if name == HUB else name
        if access.plain_http:
            return cls(name, (f"http://{server}",), access)
        if is_loopback(hostname(server)):
            return cls(name, (f"https://{server}", f"http://{server}"), access)
        return cls(name, (f"https://{server}",), access)


def hostname(server: str) -> str:
    """`host:port` without its port; an address without its brackets."""
    name = server.rpartition(":")[0] if not server.endswith("]") and ":" in server else server
    return name.removeprefix("[").removesuffix("]")


def is_loopback(name: str) -> bool:
    """Whether a host name or address is this machine itself."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def tls_context(host: Host) -> ssl.SSLContext:
    """The trust that holds for a registry; OSError or ssl.SSLError name a file that is no good."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for folder in _folders(host.name):
        _load(context, folder)
    for file in host.access.ca_files:
        context.load_verify_locations(cafile=file)
    if host.access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _folders(name: str) -> Iterator[Path]:
    """The folders of a registry's certificates that exist."""
    home = Path.home()
    bases: Iterable[Path] = (
        Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers/certs.d",
        Path(os.environ.get("DOCKER_CONFIG") or home / ".docker") / "certs.d",
        *map(Path, _SYSTEM_FOLDERS),
    )
    for base in bases:
        if (base / name).is_dir():
            yield base / name


def _load(context: ssl.SSLContext, folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        if file.suffix == ".crt":
            context.load_verify_locations(cafile=file)
        elif file.suffix == ".cert":
            context.load_cert_chain(file, file.with_suffix(".key"))
