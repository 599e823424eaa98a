"""Blobs of a registry: size, stream with ranges, delete (distribution-spec, end-2, 10)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from kho.oci.digest import Digest
from kho.oci.ranges import parse_part
from kho.remote.errors import Garbled, NotFound
from kho.remote.registry import DELETE, PULL, Registry, repository_scope
from kho.remote.transport import Answer, Request

_PARTIAL, _OUTSIDE = 206, 416


@dataclass(frozen=True, slots=True)
class Stream:
    """A blob on its way, from `start`; `size` is the whole blob's, where told.

    The bytes are as they come: whoever takes them hashes them.
    """

    start: int
    size: int | None
    pieces: AsyncIterator[bytes]


async def size(registry: Registry, repository: str, digest: Digest) -> int | None:
    """Length in bytes; None when the repository does not have it."""
    url = await registry.url(f"{repository}/blobs/{digest}")
    request = Request("HEAD", url, f"blob {_shown(registry, repository, digest)}")
    try:
        async with registry.send(request, repository_scope(repository, PULL)) as answer:
            if answer.length is None:
                raise Garbled(f"{request.step}: the answer to HEAD has no Content-Length")
            return answer.length
    except NotFound:
        return None


@asynccontextmanager
async def open_at(
    registry: Registry, repository: str, digest: Digest, start: int = 0
) -> AsyncIterator[Stream]:
    """Read from `start` on; from 0 where the registry, or where it redirects to, has no ranges.

    Raises NotFound; Unreachable while reading when the body breaks off.
    """
    url = await registry.url(f"{repository}/blobs/{digest}")
    step = f"blob {_shown(registry, repository, digest)}"
    headers = {"Range": f"bytes={start}-"} if start else {}
    request = Request(
        "GET", url, step, headers, expected=frozenset({_OUTSIDE}) if start else frozenset()
    )
    async with registry.send(request, repository_scope(repository, PULL)) as answer:
        if answer.status != _OUTSIDE:
            yield _stream(answer, start, step)
            return
    async with registry.send(
        Request("GET", url, step), repository_scope(repository, PULL)
    ) as answer:
        yield _stream(answer, 0, step)


def _stream(answer: Answer, start: int, step: str) -> Stream:
    if answer.status != _PARTIAL:
        return Stream(0, answer.length, answer.pieces())
    part = parse_part(answer.header("Content-Range"))
    if part is None or part[0].start != start:
        raise Garbled(f"{step}: asked for bytes from {start}, got another range")
    return Stream(start, part[1], answer.pieces())


async def delete(registry: Registry, repository: str, digest: Digest) -> None:
    """Take it out of the repository."""
    url = await registry.url(f"{repository}/blobs/{digest}")
    request = Request("DELETE", url, f"delete {_shown(registry, repository, digest)}")
    async with registry.send(request, repository_scope(repository, DELETE)):
        return


def _shown(registry: Registry, repository: str, digest: Digest) -> str:
    return f"{registry.name}/{repository}@{digest}"
