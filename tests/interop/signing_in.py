"""How each client signs in, pushes, pulls and signs out, by one interface.

Each has a folder of its own for what it remembers, so that a new one knows no password.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from .clients import Command, program, with_own_cache
from .guarded import LAB_NAME, PASSWORDS, Guarded
from .processes import Outcome, outcome, run
from .small_images import NAME, SmallImage


class Client(ABC):
    """One client that talks to one server."""

    asks_at_login: ClassVar[bool] = True

    def __init__(self, home: Path, door: Guarded) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.door = home, door

    @property
    def host(self) -> str:
        """What this client calls the server."""
        return self.door.host

    @abstractmethod
    def login(self, user: str, password: str | None = None) -> Outcome:
        """Sign in; without a password, with the one that the user has."""

    @abstractmethod
    def logout(self) -> Outcome:
        """Forget the password."""

    @abstractmethod
    def push(self, image: SmallImage, repository: str) -> Outcome:
        """Push to the tag 1."""

    @abstractmethod
    def pull(self, repository: str) -> Outcome:
        """Fetch the tag 1 from the server."""

    def reference(self, repository: str) -> str:
        """The tag 1 of a repository."""
        return f"{self.host}/{repository}:1"


class _ByLogin(Client):
    """One with `login HOST -u NAME`, where the password comes by standard input."""

    password_flag = "--password-stdin"

    def login(self, user: str, password: str | None = None) -> Outcome:
        words = self._signing("login", "-u", user, self.password_flag, *self.ways())
        given = password or PASSWORDS[user]
        return outcome(*words, self.host, env=self.env(), stdin=given)

    def logout(self) -> Outcome:
        return outcome(*self._signing("logout", *self.logout_ways()), self.host, env=self.env())

    def ask(self, verb: str, *words: str | Path) -> Outcome:
        """Another of its commands, with what it remembers."""
        return outcome(*self._signing(verb, *words), env=self.env())

    @abstractmethod
    def _signing(self, verb: str, *flags: str | Path) -> Command:
        """The command line of login and logout, but for the host."""

    def ways(self) -> Command:
        """What tells where passwords are kept, and how the server is reached."""
        return ()

    def logout_ways(self) -> Command:
        return ()

    def env(self) -> dict[str, str]:
        return {}


class Docker(_ByLogin):
    """An engine runs elsewhere; its client keeps the passwords."""

    engine: Command = ()

    @property
    def host(self) -> str:
        """Over TLS a name that is no loopback address to dockerd, so that it checks the CA."""
        return f"{LAB_NAME}:{self.door.server.port}" if self.door.ca else self.door.host

    def _signing(self, verb: str, *flags: str | Path) -> Command:
        return (*self._docker, verb, *flags)

    @property
    def _docker(self) -> Command:
        return (*self.engine, "--config", self.home)

    def push(self, image: SmallImage, repository: str) -> Outcome:
        run(*self._docker, "load", "--input", image.docker_archive)
        run(*self._docker, "tag", NAME, self.reference(repository))
        return outcome(*self._docker, "push", self.reference(repository))

    def pull(self, repository: str) -> Outcome:
        run(*self._docker, "image", "prune", "--all", "--force")
        return outcome(*self._docker, "pull", self.reference(repository))


class _Containers(_ByLogin):
    """podman and skopeo: an auth file, --cert-dir or --tls-verify=false."""

    def __init__(self, home: Path, door: Guarded) -> None:
        super().__init__(home, door)
        self._auth = home / "auth.json"
        self._auth.write_text("{}")
        if door.ca:
            (home / "certs").mkdir(exist_ok=True)
            (home / "certs/lab.crt").write_bytes(door.ca.read_bytes())

    def ways(self) -> Command:
        return (*self.logout_ways(), *self.transport())

    def logout_ways(self) -> Command:
        return ("--authfile", self._auth)

    def transport(self, side: str = "") -> Command:
        if self.door.ca:
            return (f"--{side}cert-dir", self.home / "certs")
        return (f"--{side}tls-verify=false",)


class Podman(_Containers):
    """It pushes from a store of its own."""

    @property
    def _podman(self) -> Command:
        store = self.home / "store"
        places = ("--root", store / "root", "--runroot", store / "run", "--tmpdir", store / "tmp")
        ways = ("--storage-driver=overlay", "--cgroup-manager=cgroupfs", "--events-backend=none")
        return (*with_own_cache("podman", store / "cache"), *places, *ways)

    def _signing(self, verb: str, *flags: str | Path) -> Command:
        return (*self._podman, verb, *flags)

    def push(self, image: SmallImage, repository: str) -> Outcome:
        archive = f"docker-archive:{image.docker_archive}"
        loaded = run(*self._podman, "pull", "--quiet", archive).split()[-1]
        return outcome(*self._podman, "push", *self.ways(), loaded, self.reference(repository))

    def pull(self, repository: str) -> Outcome:
        run(*self._podman, "rmi", "--all", "--force")
        return outcome(*self._podman, "pull", *self.ways(), self.reference(repository))


class Skopeo(_Containers):
    """It copies between folders and the server."""

    def _signing(self, verb: str, *flags: str | Path) -> Command:
        return (program("skopeo"), verb, *flags)

    def _copy(self, side: str, source: str, target: str) -> Outcome:
        command = with_own_cache("skopeo", self.home / "cache")
        ways = ("--authfile", self._auth, *self.transport(side))
        return outcome(*command, "copy", *ways, source, target)

    def push(self, image: SmallImage, repository: str) -> Outcome:
        there = f"docker://{self.reference(repository)}"
        return self._copy("dest-", f"oci:{image.layout}:small", there)

    def pull(self, repository: str) -> Outcome:
        there = f"docker://{self.reference(repository)}"
        return self._copy("src-", there, f"oci:{self.home}/pulled:1")


class Containerd(Client):
    """ctr: it has no login; the user is named in each command."""

    asks_at_login = False
    engine: Command = ()

    def __init__(self, home: Path, door: Guarded) -> None:
        super().__init__(home, door)
        self._user: Command = ()

    def login(self, user: str, password: str | None = None) -> Outcome:
        self._user = ("--user", f"{user}:{password or PASSWORDS[user]}")
        return Outcome("ctr has no login", 0, "")

    def logout(self) -> Outcome:
        self._user = ()
        return Outcome("ctr has no logout", 0, "")

    def push(self, image: SmallImage, repository: str) -> Outcome:
        name = f"kho.invalid/{image.digest.removeprefix('sha256:')[:12]}"
        imported = ("images", "import", "--no-unpack", "--base-name", name)
        run(*self.engine, *imported, image.oci_archive)
        words = ("images", "push", *self._ways(), self.reference(repository), f"{name}:small")
        return outcome(*self.engine, *words)

    def pull(self, repository: str) -> Outcome:
        if known := run(*self.engine, "images", "list", "--quiet").split():
            run(*self.engine, "images", "remove", "--sync", *known)
        words = ("images", "pull", *self._ways(), self.reference(repository))
        return outcome(*self.engine, *words)

    def _ways(self) -> Command:
        if not self.door.ca:
            return (*self._user, "--plain-http")
        place = self.home / "hosts" / self.host
        place.mkdir(parents=True, exist_ok=True)
        ca = f'ca = "{self.door.ca}"\n'  # named twice: a 404 of the host is asked of the server
        told = f'server = "https://{self.host}"\n{ca}[host."https://{self.host}"]\n{ca}'
        (place / "hosts.toml").write_text(told)
        return (*self._user, "--hosts-dir", self.home / "hosts")


class Crane(_ByLogin):
    """It reads docker's configuration, and keeps a password without asking the server."""

    asks_at_login = False

    def _signing(self, verb: str, *flags: str | Path) -> Command:
        return (program("crane"), "auth", verb, *flags)

    def env(self) -> dict[str, str]:
        trusted = {"SSL_CERT_FILE": str(self.door.ca)} if self.door.ca else {}
        return {"DOCKER_CONFIG": str(self.home), **trusted}

    def push(self, image: SmallImage, repository: str) -> Outcome:
        words = ("push", image.layout, self.reference(repository))
        return outcome(program("crane"), *words, env=self.env())

    def pull(self, repository: str) -> Outcome:
        words = ("pull", "--format=oci", self.reference(repository), self.home / "pulled")
        return outcome(program("crane"), *words, env=self.env())


class Oras(_ByLogin):
    """It has flags for everything."""

    def _signing(self, verb: str, *flags: str | Path) -> Command:
        return (program("oras"), verb, *flags)

    def ways(self) -> Command:
        return (*self.logout_ways(), *self._transport(""))

    def logout_ways(self) -> Command:
        return ("--registry-config", self.home / "config.json")

    def _transport(self, side: str) -> Command:
        if self.door.ca:  # on localhost it would take plain HTTP unless told
            return (f"--{side}ca-file", self.door.ca, f"--{side}plain-http=false")
        return (f"--{side}plain-http",)

    def _copy(self, side: str, *words: str) -> Outcome:
        kept = (f"--{side}registry-config", self.home / "config.json")
        return outcome(program("oras"), "copy", *kept, *self._transport(side), *words)

    def push(self, image: SmallImage, repository: str) -> Outcome:
        source = f"{image.layout}:small"
        return self._copy("to-", "--from-oci-layout", source, self.reference(repository))

    def pull(self, repository: str) -> Outcome:
        target = f"{self.home}/pulled:1"
        return self._copy("from-", self.reference(repository), "--to-oci-layout", target)


class Regctl(_ByLogin):
    """Its own configuration holds passwords and certificates."""

    password_flag = "--pass-stdin"

    def __init__(self, home: Path, door: Guarded) -> None:
        super().__init__(home, door)
        ways = ("--cacert", door.ca.read_text()) if door.ca else ("--tls", "disabled")
        words = ("registry", "set", "--skip-check", *ways, self.host)
        outcome(program("regctl"), *words, env=self.env()).must_succeed()

    def _signing(self, verb: str, *flags: str | Path) -> Command:
        return (program("regctl"), "registry", verb, *flags)

    def env(self) -> dict[str, str]:
        return {
            "REGCTL_CONFIG": str(self.home / "regctl.json"),
            "DOCKER_CONFIG": str(self.home / "docker"),
        }

    def _copy(self, source: str, target: str) -> Outcome:
        return outcome(program("regctl"), "image", "copy", source, target, env=self.env())

    def push(self, image: SmallImage, repository: str) -> Outcome:
        return self._copy(f"ocidir://{image.layout}:small", self.reference(repository))

    def pull(self, repository: str) -> Outcome:
        return self._copy(self.reference(repository), f"ocidir://{self.home}/pulled:1")


CLIENTS: dict[str, type[Client]] = {
    "docker": Docker,
    "podman": Podman,
    "skopeo": Skopeo,
    "containerd": Containerd,
    "crane": Crane,
    "oras": Oras,
    "regctl": Regctl,
}
