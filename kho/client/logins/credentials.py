"""Who the user is at each registry: found where docker, podman and helpers keep it.

host/team/app ─► host/team/app, host/team, host: the closest first; for each of them
    DOCKER_AUTH_CONFIG ─► docker's config.json and its helpers ─► containers' auth.json
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kho.client.logins.credential_file import (
    CredentialFile,
    file_key,
    normal,
    read_config,
    read_entry,
)
from kho.client.logins.credential_helper import TOKEN_USER, Helper
from kho.remote.credentials import Credential, Kind

VARIABLE: Final = "DOCKER_AUTH_CONFIG"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a login is kept, without its secret; no user name where a helper tells none."""

    key: str
    username: str | None
    place: str
    kind: Kind


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
            os.environ.get(VARIABLE) or None,
        )

    async def find(self, host: str, repository: str | None = None) -> Credential | None:
        """The login that holds for a repository; None is anonymous."""
        found = await self.locate(host, repository)
        return None if found is None else found[0]

    async def locate(
        self, host: str, repository: str | None = None
    ) -> tuple[Credential, "Place"] | None:
        """The login that holds for a repository, and where it is kept."""
        for key in _keys(host, repository):
            found = await self._find(key)
            if found is not None:
                return found
        return None

    async def _find(self, key: str) -> tuple[Credential, "Place"] | None:
        for name, entry in self._given().items():
            if normal(name) == key and isinstance(entry, dict):
                found = read_entry(entry, f"{VARIABLE}: {name}")
                if found is not None:
                    return found, Place(key, found.username, VARIABLE, found.kind)
        for file in (self.docker, *self.others):
            helper = file.helper(key)
            # A helper is a program to start: for a part of a registry only where one is known.
            if helper is not None and ("/" not in key or key in file.names()):
                keeper = Helper(helper)
                found = await keeper.get(file_key(key))
                if found is not None:
                    return found, Place(key, found.username, keeper.program, found.kind)
            found = file.find(key)
            if found is not None:
                return found, Place(key, found.username, str(file.path), found.kind)
        return None

    def _given(self) -> dict[str, Any]:
        if self.given is None:
            return {}
        auths = read_config(self.given.encode(), VARIABLE).get("auths")
        return auths if isinstance(auths, dict) else {}

    async def places(self) -> list["Place"]:
        """Every login that is known, the one that counts for each key; helpers tell names alone."""
        found: dict[str, Place] = {}
        for name, entry in self._given().items():
            _add_entry(found, name, entry, VARIABLE)
        for file in (self.docker, *self.others):
            await _add_helpers(found, file)
            for name, entry in file.entries():
                _add_entry(found, name, entry, str(file.path))
        return sorted(found.values(), key=lambda one: one.key)

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


def _add_entry(found: dict[str, Place], name: str, entry: object, place: str) -> None:
    if normal(name) in found or not isinstance(entry, dict):
        return
    kept = read_entry(entry, f"{place}: {name}")
    if kept is not None:
        found[normal(name)] = Place(normal(name), kept.username, place, kept.kind)


async def _add_helpers(found: dict[str, Place], file: CredentialFile) -> None:
    """Hosts with a helper of their own, and what the common one lists."""
    listed: dict[str, dict[str, str]] = {}

    async def known(helper: str) -> dict[str, str]:
        if helper not in listed:
            listed[helper] = {normal(k): user for k, user in (await Helper(helper).list()).items()}
        return listed[helper]

    own = {normal(name): helper for name, helper in file.own_helpers().items() if helper}
    for key, helper in own.items():
        user = (await known(helper)).get(key)
        found.setdefault(key, _of_helper(key, user, helper))
    store = file.store_helper()
    for key, user in (await known(store)).items() if store else ():
        if key not in own:
            found.setdefault(key, _of_helper(key, user, str(store)))


def _of_helper(key: str, user: str | None, helper: str) -> Place:
    token = user == TOKEN_USER
    kind = Kind.IDENTITY_TOKEN if token else Kind.PASSWORD
    return Place(key, "" if token else user, Helper(helper).program, kind)


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
