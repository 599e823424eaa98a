"""docker's config.json and containers' auth.json: who is logged in where (section 12.1).

{"auths": {"host[/path]": {"auth": base64 of user:password, "identitytoken", "registrytoken"}},
 "credHelpers": {"host": name}, "credsStore": name, ...}      what is unknown is kept as it is
"""

import base64
import binascii
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from kho.client.errors import ClientError
from kho.client.whole_file import write_whole
from kho.oci.reference import HUB, HUB_NAMES
from kho.remote.credentials import Credential, Kind

# The name under which docker has always kept Docker Hub.
HUB_KEY: Final = "https://index.docker.io/v1/"


class CredentialFileBroken(ClientError):
    """A file that cannot be read or written; one line that names it."""


class CredentialFile:
    """One file, read anew at each question: another process may have logged in."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, key: str) -> Credential | None:
        """The login that the file itself holds for `host` or `host/path`."""
        for name, entry in self._section("auths").items():
            if normal(name) == key and isinstance(entry, dict):
                found = read_entry(entry, f"{self.path}: {name}")
                if found is not None:
                    return found
        return None

    def helper(self, key: str) -> str | None:
        """The helper that keeps this login, or all of them."""
        for name, helper in self.own_helpers().items():
            if normal(name) == key:
                return helper or None
        return self.store_helper()

    def own_helpers(self) -> dict[str, str]:
        """Hosts that have a helper of their own; an empty one means the file itself."""
        helpers = self._section("credHelpers").items()
        return {name: helper for name, helper in helpers if isinstance(helper, str)}

    def store_helper(self) -> str | None:
        """The helper for all other hosts."""
        store = self._read().get("credsStore")
        return store if isinstance(store, str) and store else None

    def entries(self) -> list[tuple[str, object]]:
        """Names and entries as they stand in the file."""
        return list(self._section("auths").items())

    def names(self) -> list[str]:
        """What somebody has logged in to, in the file's order."""
        return [normal(name) for name in self._section("auths")]

    def store(self, key: str, credential: Credential | None) -> None:
        """Keep a login; None where a helper keeps the secret, and the name alone stands here."""
        with self._changing() as value:
            auths = value.get("auths")
            if not isinstance(auths, dict):
                auths = value["auths"] = {}
            for name in [name for name in auths if normal(name) == key]:
                del auths[name]
            auths[file_key(key)] = {} if credential is None else _entry(credential)

    def erase(self, key: str) -> bool:
        """Forget a login; False where there was none."""
        if key not in self.names():
            return False
        with self._changing() as value:
            for name in [name for name in value["auths"] if normal(name) == key]:
                del value["auths"][name]
        return True

    def _section(self, name: str) -> dict[str, Any]:
        section = self._read().get(name)
        return section if isinstance(section, dict) else {}

    def _read(self) -> dict[str, Any]:
        try:
            text = self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise CredentialFileBroken(f"{self.path}: {error.strerror}") from error
        return read_config(text, str(self.path))

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """The content, to be changed; one of us at a time, all or nothing, links kept."""
        try:
            target = Path(os.path.realpath(self.path))
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise CredentialFileBroken(f"{self.path}: {error.strerror}") from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            value = self._read()
            yield value
            write_whole(target, json.dumps(value, indent="\t").encode(), 0o600)
        except OSError as error:
            raise CredentialFileBroken(f"{self.path}: {error.strerror}") from error
        finally:
            os.close(folder)


def read_config(text: bytes, where: str) -> dict[str, Any]:
    """The content of such a file; an empty one is one without logins."""
    try:
        value = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise CredentialFileBroken(f"{where}: no JSON: {error}") from error
    if not isinstance(value, dict):
        raise CredentialFileBroken(f"{where}: no JSON object")
    return value


def read_entry(entry: dict[str, Any], where: str) -> Credential | None:
    """One entry of `auths`; None where it is empty, as those are whose secret a helper has."""
    user, password = _plain(entry)
    text = entry.get("auth")
    if isinstance(text, str) and text:
        user, password = _pair(text, where)
    for name, kind in (
        ("identitytoken", Kind.IDENTITY_TOKEN),
        ("registrytoken", Kind.REGISTRY_TOKEN),
    ):
        token = entry.get(name)
        if isinstance(token, str) and token:
            return Credential(user, token, kind)
    if password and not user:
        raise CredentialFileBroken(f"{where}: the entry has no user name")
    return Credential(user, password) if user else None


def _plain(entry: dict[str, Any]) -> tuple[str, str]:
    """As Kubernetes' secrets have them beside `auth`, or alone."""
    user, password = entry.get("username"), entry.get("password")
    return (user, password) if isinstance(user, str) and isinstance(password, str) else ("", "")


def _pair(text: str, where: str) -> tuple[str, str]:
    """The first colon parts them; old docker padded with NULs."""
    try:
        user, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise CredentialFileBroken(f"{where}: auth is no base64 of user:password") from error
    if not colon:
        raise CredentialFileBroken(f"{where}: auth is no base64 of user:password")
    return user, password.rstrip("\0")


def _entry(credential: Credential) -> dict[str, str]:
    if credential.kind is Kind.REGISTRY_TOKEN:
        return {"registrytoken": credential.secret}
    password = credential.secret if credential.kind is Kind.PASSWORD else ""
    pair = f"{credential.username}:{password}".encode()
    # docker refuses the whole file for one `auth` without a user name.
    entry = {"auth": base64.b64encode(pair).decode("ascii")} if credential.username else {}
    if credential.kind is Kind.IDENTITY_TOKEN:
        entry["identitytoken"] = credential.secret
    return entry


def normal(name: str) -> str:
    """A key as it is compared: `host` or `host/path`; a URL counts as its host."""
    scheme, mark, rest = name.partition("://")
    key = rest.partition("/")[0] if mark else scheme
    key = key.rstrip("/")
    for version in ("/v1", "/v2"):
        key = key.removesuffix(version)
    host, slash, path = key.partition("/")
    host = host.lower()
    return (HUB if host in HUB_NAMES else host) + slash + path


def file_key(key: str) -> str:
    """A key as docker writes it."""
    return HUB_KEY if key == HUB else key
