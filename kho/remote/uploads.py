"""Upload sessions of a registry: open or mount, send, ask, finish (end-4 to end-6, 11, 13, 14).

    start ─► Session(url, size) ─► append ─► Session ... ─► finish
              │ kept by the client, also beyond its own end
              └► ask: how far it got; None when it is gone

A session belongs to its registry: its Location on another origin gets neither bytes nor
credentials (E2).
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from kho.oci.digest import Digest
from kho.oci.ranges import parse_upload_range
from kho.oci.scope import Scope
from kho.remote.errors import CredentialsHeld, Garbled, NotFound, printable
from kho.remote.registry import PULL, PUSH, Registry, repository_scope
from kho.remote.transport import Answer, Request, same_origin

_OCTETS: Final = "application/octet-stream"
_CREATED: Final = 201


@dataclass(frozen=True, slots=True)
class Session:
    """An open upload: where the next request goes, how many bytes it holds.

    `least` is the shortest chunk that the registry takes but for the last, 0 where it does not say.
    """

    url: str
    size: int
    least: int = 0


async def start(registry: Registry, repository: str) -> Session:
    """Open a session that holds nothing."""
    step = f"upload to {registry.name}/{repository}"
    url = await registry.url(f"{repository}/blobs/uploads/")
    request = Request("POST", url, step, {"Content-Length": "0"}, b"")
    async with registry.send(request, _pushing(repository)) as answer:
        return await _session(registry, answer, step, 0)


async def mount(registry: Registry, repository: str, digest: Digest, source: str) -> Session | None:
    """Take a blob over from another repository: None is done, a session is one to send it by."""
    step = f"mount {digest} from {source} into {registry.name}/{repository}"
    query = urlencode({"mount": str(digest), "from": source})
    url = await registry.url(f"{repository}/blobs/uploads/?{query}")
    request = Request("POST", url, step, {"Content-Length": "0"}, b"")
    scopes = _pushing(repository), repository_scope(source, PULL)
    async with registry.send(request, *scopes) as answer:
        if answer.status == _CREATED:
            return None
        return await _session(registry, answer, step, 0)


async def ask(registry: Registry, repository: str, session: Session) -> Session | None:
    """How far the session got; None when the registry does not know it any more."""
    step = f"upload to {registry.name}/{repository}"
    request = Request("GET", session.url, step)
    try:
        async with registry.send(request, _pushing(repository)) as answer:
            size = parse_upload_range(answer.header("Range")) or 0
            if answer.header("Location"):
                return await _session(registry, answer, step, size, session.least)
            return Session(session.url, size, session.least)
    except NotFound:
        return None


async def append(
    registry: Registry,
    repository: str,
    session: Session,
    pieces: AsyncIterator[bytes],
    length: int,
    *,
    ranged: bool,
) -> Session:
    """Send the next `length` bytes; `ranged` tells where they belong, as all but one chunk must.

    What is sent cannot be sent again from here: after an error, `ask`.
    """
    step = f"upload to {registry.name}/{repository}"
    headers = {"Content-Type": _OCTETS, "Content-Length": str(length)}
    if ranged:
        headers["Content-Range"] = f"{session.size}-{session.size + length - 1}"
    request = Request("PATCH", session.url, step, headers, pieces, once=True)
    async with registry.send(request, _pushing(repository)) as answer:
        expected = session.size + length
        told = parse_upload_range(answer.header("Range"))
        if told is not None and told != expected and expected > 1:
            raise Garbled(f"{step}: sent {expected} bytes, the registry tells of {told}")
        return await _session(registry, answer, step, expected, session.least)


async def finish(registry: Registry, repository: str, session: Session, digest: Digest) -> None:
    """Make the session's bytes the blob of `digest`; raise Refused when they are not."""
    step = f"upload of {digest} to {registry.name}/{repository}"
    joint = "&" if urlsplit(session.url).query else "?"
    url = f"{session.url}{joint}{urlencode({'digest': str(digest)})}"
    request = Request("PUT", url, step, {"Content-Length": "0", "Content-Type": _OCTETS}, b"")
    async with registry.send(request, _pushing(repository)):
        return


async def cancel(registry: Registry, repository: str, session: Session) -> None:
    """Give the session up; a registry that has no such request forgets it by itself."""
    step = f"cancel of an upload to {registry.name}/{repository}"
    request = Request(
        "DELETE", session.url, step, expected=frozenset({401, 403, 404, 405}), once=True
    )
    async with registry.send(request, _pushing(repository)):
        return


def _pushing(repository: str) -> Scope:
    return repository_scope(repository, PUSH)


async def _session(
    registry: Registry, answer: Answer, step: str, size: int, least: int = 0
) -> Session:
    url = await registry.location(answer, step)
    parts, base = urlsplit(url), urlsplit(await registry.base())
    if not same_origin(parts, base):
        if parts.hostname != base.hostname or parts.scheme not in ("http", "https"):
            shown = printable(f"{parts.scheme}://{parts.netloc}")
            raise CredentialsHeld(f"{step}: the registry wants the bytes at {shown}, not followed")
        # A registry behind a proxy that does not know its own scheme or port: the usual mistake.
        url = parts._replace(scheme=base.scheme, netloc=base.netloc).geturl()
    text = answer.header("OCI-Chunk-Min-Length") or ""
    told = int(text[:18]) if text.isascii() and text.isdigit() else least
    return Session(url, size, told)
