"""The signed token that a CI job or a pod has of itself, found where each system keeps it.

    named variable ─► KHO_TOKEN_FILE ─► KHO_TOKEN, KHO_ID_TOKEN (GitLab's id_tokens) ─► GitHub's
    service, asked for the audience ─► a projected file of Kubernetes

Kubernetes' own service account token is never taken: it opens the cluster, and is no registry's.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Final
from urllib.parse import quote, urlsplit

from kho.client.errors import ClientError, Missing, Misused
from kho.client.logins.claims import read_claims
from kho.oci.strict_json import JsonRefused, parse_object
from kho.remote.hosts import Host
from kho.remote.transport import Request, Transport

USER: Final = "oidc"
VARIABLES: Final = ("KHO_TOKEN", "KHO_ID_TOKEN")
FILE_VARIABLE: Final = "KHO_TOKEN_FILE"
PROJECTED: Final = (Path("/var/run/kho/token"), Path("/var/run/secrets/kho/token"))
_GITHUB_URL: Final = "ACTIONS_ID_TOKEN_REQUEST_URL"
_GITHUB_TOKEN: Final = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"  # noqa: S105
_BYTES: Final = 64 * 1024
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_HELP: Final = "docs/use/ci.md shows how"


class NoToken(ClientError):
    """What was found is no token that could be used."""


@dataclass(frozen=True, slots=True)
class Found:
    """A signed token, and where it was; `ends` in seconds since 1970, where it says so."""

    origin: str
    ends: float | None
    token: str = field(repr=False)


async def find(
    environment: Mapping[str, str],
    audience: str,
    transport: Transport,
    *,
    variable: str | None = None,
    files: tuple[Path, ...] = PROJECTED,
    clock: Callable[[], float] = time,
) -> Found:
    """The token of this job; raise Missing with what was looked for, NoToken, or RemoteError."""
    origin, token = await _look(environment, audience, transport, variable, files)
    claims = read_claims(token)
    if claims is None:
        raise NoToken(f"{origin} holds no signed token (JWT): {_HELP}")
    ends = claims.get("exp")
    if not isinstance(ends, int | float):
        return Found(origin, None, token)
    if ends <= clock():
        raise NoToken(
            f"{origin}: the token ended {clock() - ends:.0f} s ago: log in earlier in the job"
        )
    return Found(origin, float(ends), token)


async def _look(
    environment: Mapping[str, str],
    audience: str,
    transport: Transport,
    variable: str | None,
    files: tuple[Path, ...],
) -> tuple[str, str]:
    if variable is not None:
        return _named(environment, variable)
    named_file = environment.get(FILE_VARIABLE)
    if named_file:
        return f"{FILE_VARIABLE} ({named_file})", _read(Path(named_file))
    for name in VARIABLES:
        if environment.get(name):
            return f"the variable {name}", environment[name].strip()
    if environment.get(_GITHUB_URL) and environment.get(_GITHUB_TOKEN):
        return "GitHub Actions", await _github(environment, audience, transport)
    for file in files:
        if file.exists():
            return str(file), _read(file)
    raise Missing(_missing(environment, audience, files))


def _named(environment: Mapping[str, str], variable: str) -> tuple[str, str]:
    if _NAME.fullmatch(variable) is None:
        raise Misused(f"{variable!a:.100} is no name of a variable; give the name, not the token")
    if not environment.get(variable):
        raise Missing(f"the variable {variable} is not set or empty")
    return f"the variable {variable}", environment[variable].strip()


def _missing(environment: Mapping[str, str], audience: str, files: tuple[Path, ...]) -> str:
    """What this system would need; the whole list where it is not known."""
    if environment.get("GITHUB_ACTIONS") == "true":
        return (
            "GitHub gives this job no token: the job needs `permissions: id-token: write`"
            f" (jobs of forks get none); {_HELP}"
        )
    if environment.get("GITLAB_CI") == "true":
        return (
            "GitLab gives this job no token: the job needs"
            f" `id_tokens: {{KHO_TOKEN: {{aud: {audience}}}}}`; {_HELP}"
        )
    looked = ", ".join((FILE_VARIABLE, *VARIABLES, _GITHUB_URL, *map(str, files)))
    return f"no CI token found; looked for {looked}; {_HELP}"


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(_BYTES)
    except OSError as error:
        raise Missing(f"{file}: {error.strerror}") from error
    return content.decode("ascii", "replace").strip()


async def _github(environment: Mapping[str, str], audience: str, transport: Transport) -> str:
    """Ask GitHub's service; its address and the token for it stand in the job's variables."""
    address = environment[_GITHUB_URL]
    host = urlsplit(address)
    if host.scheme != "https" or not host.hostname:
        raise NoToken(f"{_GITHUB_URL} is no https address")
    url = f"{address}{'&' if host.query else '?'}audience={quote(audience, safe='')}"
    headers = {"Authorization": f"bearer {environment[_GITHUB_TOKEN]}"}
    request = Request("GET", url, "token from GitHub Actions", headers)
    async with transport.send(Host.named(host.netloc), request) as answer:
        body = await answer.read(_BYTES)
    try:
        token = parse_object(body).get("value")
    except JsonRefused as error:
        raise NoToken(f"GitHub Actions: {error}") from error
    return token if isinstance(token, str) else ""
