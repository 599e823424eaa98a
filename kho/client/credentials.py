"""Who the user is at each registry: found where docker, podman and helpers keep it.

host/team/app ─► host/team/app, host/team, host: the closest first; for each of them
    DOCKER_AUTH_CONFIG ─► docker's config.json and its helpers ─► containers' auth.json
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kho.client.credential_file import (
    CredentialFile,
    file_key,
    normal,
    read_config,
    read_entry,
)
from kho.client.credential_helper import Helper
from kho.remote.credentials import Credential


@dataclass(frozen=True, slots=True)
class Keychain:
    """The files, docker's first; logins are written there."""

    docker: CredentialFile
    others: tuple[CredentialFile, ...] = ()
    # The content of a config.json, as CI systems hand it over.
    given: str | None = None

    @classmethod
    def of_user(cls) -> "Keychain":
        """Where this user's logins are, by the environment."""
        home = Path.home()
        docker = Path(os.environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
        return cls(
            CredentialFile(docker),
            tuple(map(CredentialFile, _containers_files(home))),
            os.environ.get("DOCKER_AUTH_CONFIG") or None,
        )

    async def find(self, host: str, repository: str | None = None) -> Credential | None:
        """The login that holds for a repository; None is anonymous."""
        for key in _keys(host, repository):
            found = await self._find(key)
            if found is not None:
                return found
        return None

    async def _find(self, key: str) -> Credential | None:
        if self.given is not None:
            auths = read_config(self.given.encode(), "DOCKER_AUTH_CONFIG").get("auths") or {}
            for name, entry in auths.items():
                if normal(name) == key:
                    return read_entry(entry, f"DOCKER_AUTH_CONFIG: {name}")
        for file in (self.docker, *self.others):
            helper = file.helper(key)
            # A helper is a program to start: for a part of a registry only where one is known.
            if helper is not None and ("/" not in key or key in file.names()):
                found = await Helper(helper).get(file_key(key))
                if found is not None:
                    return found
            found = file.find(key)
            if found is not None:
                return found
        return None

    async def store(self, key: str, credential: Credential) -> str:
        """Keep a login where docker would; the name of the place."""
        key = normal(key)
        helper = self.docker.helper(key)
        if helper is None:
            self.docker.store(key, credential)
            return str(self.docker.path)
        keeper = Helper(helper)
        await keeper.store(file_key(key), credential)
        self.docker.store(key, None)
        return keeper.program

    async def erase(self, key: str) -> bool:
        """Forget a login wherever it may be kept; False where there was none."""
        key = normal(key)
        found = False
        for file in (self.docker, *self.others):
            helper = file.helper(key)
            if helper is not None and await Helper(helper).get(file_key(key)) is not None:
                found = await Helper(helper).erase(file_key(key)) or found
            found = file.erase(key) or found
        return found


def _keys(host: str, repository: str | None) -> Iterator[str]:
    """`host/a/b`, `host/a`, `host`."""
    parts = repository.split("/") if repository else []
    for count in range(len(parts), -1, -1):
        yield "/".join((host, *parts[:count]))


def _containers_files(home: Path) -> Iterator[Path]:
    """The places of podman; the one that its variable names, alone, where that is set."""
    named = os.environ.get("REGISTRY_AUTH_FILE")
    if named:
        yield Path(named)
        return
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    yield Path(runtime) / "containers/auth.json"
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    yield config / "containers/auth.json"
