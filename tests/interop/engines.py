"""Daemons of our own for the clients that have one: dockerd and containerd."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from bench.docker import commands

from .clients import Command, program
from .guarded import LAB_NAME, Guarded
from .processes import CommandFailed, daemon, run

_CONTAINERD = """\
version = 2
root = "{state}/root"
state = "{state}/run"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{state}/socket"
"""

# dockerd reads certificates from one place only, and trusts a registry on 127.0.0.0/8 without any.
DOCKER_CERTIFICATES = Path("/etc/docker/certs.d")
_HOSTS = f"127.0.0.1 localhost\n0.0.0.0 {LAB_NAME}\n"
_OWN_PLACES = 'mount --bind "$0" "$1" && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"'


@contextlib.contextmanager
def docker_engine(state: Path, certificates: Path | None = None) -> Iterator[Command]:
    """An engine without bridge and firewall rules; yields the command line of its client.

    With `certificates` it runs in a mount namespace where that folder is /etc/docker/certs.d and
    its file `hosts` is /etc/hosts.
    """
    state.mkdir(parents=True)
    engine, client = commands(state, program("dockerd"), program("docker"))
    command = (*_inside(certificates), *engine)
    with daemon(command, state / "log", lambda: _docker_is_up(client)):
        yield client


def _inside(certificates: Path | None) -> Command:
    if certificates is None:
        return ()
    DOCKER_CERTIFICATES.mkdir(parents=True, exist_ok=True)
    hosts = certificates / "hosts"
    place = (certificates, DOCKER_CERTIFICATES, hosts)
    return ("unshare", "--mount", "sh", "-c", _OWN_PLACES, *place)


def _docker_is_up(client: Command) -> bool:
    try:
        return bool(run(*client, "version"))
    except CommandFailed:
        return False


@contextlib.contextmanager
def containerd_engine(state: Path) -> Iterator[Command]:
    """A containerd; yields the command line of ctr."""
    state.mkdir(parents=True, exist_ok=True)
    config, socket = state / "containerd.toml", state / "socket"
    config.write_text(_CONTAINERD.format(state=state))
    client = (program("ctr"), "--address", socket, "--namespace", "interop")
    engine = (program("containerd"), "--config", config)
    with daemon(engine, state / "log", lambda: socket.exists() and bool(run(*client, "version"))):
        yield client


class Engines:
    """A dockerd and a containerd, each started when it is first wanted, and ended by the stack."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._docker: Command = ()
        self._containerd: Command = ()

    def docker(self, door: Guarded) -> Command:
        """The client's command line; the engine trusts the CA of this server."""
        certificates = self._folder / "certs.d"
        if not self._docker:
            certificates.mkdir()
            (certificates / "hosts").write_text(_HOSTS)
            engine = docker_engine(self._folder / "docker", certificates)
            self._docker = self._stack.enter_context(engine)
        if door.ca:
            place = certificates / f"{LAB_NAME}:{door.server.port}"
            place.mkdir(exist_ok=True)
            shutil.copy(door.ca, place / "ca.crt")
        return self._docker

    def containerd(self) -> Command:
        """The command line of ctr."""
        if not self._containerd:
            engine = containerd_engine(self._folder / "containerd")
            self._containerd = self._stack.enter_context(engine)
        return self._containerd
