"""Manifests of a registry: find, get, put, delete (distribution-spec, end-3, 7, 9)."""

from dataclasses import dataclass
from typing import Final

from kho.oci import media_types
from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import DigestInvalid
from kho.remote.errors import ContentMismatch, Garbled, NotFound
from kho.remote.registry import DELETE, PULL, PUSH, Registry, repository_scope
from kho.remote.transport import Answer, Request

BYTES: Final = 4 * 1024 * 1024
# An index before an image, OCI before Docker: a registry that holds several forms sends the first.
ACCEPT: Final = (
    f"{media_types.OCI_INDEX}, {media_types.DOCKER_MANIFEST_LIST},"
    f" {media_types.OCI_MANIFEST}, {media_types.DOCKER_MANIFEST}"
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest's bytes as they were sent; the digest is theirs."""

    media_type: str
    digest: Digest
    content: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """What a registry says of a manifest without sending it."""

    media_type: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What a registry says of a manifest that it took; `subject` if it lists referrers itself."""

    digest: Digest
    subject: Digest | None


async def get(
    registry: Registry, repository: str, target: str, *, accept: str = ACCEPT
) -> Manifest:
    """Fetch by tag or digest.

    Raises NotFound; ContentMismatch when the bytes are not those of the digest asked for, or told.
    """
    step = f"manifest {_shown(registry, repository, target)}"
    request = Request("GET", await _url(registry, repository, target), step, {"Accept": accept})
    async with registry.send(request, repository_scope(repository, PULL)) as answer:
        content = await answer.read(BYTES)
        digest = _checked(content, _wanted(target) or _told(answer, step), step)
        return Manifest(_media_type(answer), digest, content)


async def find(registry: Registry, repository: str, target: str) -> Found | None:
    """Ask for a manifest by HEAD; by GET where the registry leaves out what it must tell."""
    step = f"manifest {_shown(registry, repository, target)}"
    request = Request("HEAD", await _url(registry, repository, target), step, {"Accept": ACCEPT})
    try:
        async with registry.send(request, repository_scope(repository, PULL)) as answer:
            told, size = _told(answer, step), answer.length
            if told is not None and size is not None:
                wanted = _wanted(target)
                if wanted is not None and wanted != told:
                    raise ContentMismatch(f"{step}: the registry has {told} there")
                return Found(_media_type(answer), told, size)
        whole = await get(registry, repository, target)
    except NotFound:
        return None
    return Found(whole.media_type, whole.digest, len(whole.content))


async def put(
    registry: Registry, repository: str, target: str, media_type: str, content: bytes
) -> Stored:
    """Push by tag or digest; what it references must be there."""
    step = f"push {_shown(registry, repository, target)}"
    url = await _url(registry, repository, target)
    request = Request("PUT", url, step, {"Content-Type": media_type}, content)
    digest = Digest.of(content)
    async with registry.send(request, repository_scope(repository, PUSH)) as answer:
        told = _told(answer, step)
        if told is not None and told.algorithm == digest.algorithm and told != digest:
            raise ContentMismatch(f"{step}: sent {digest}, the registry took {told}")
        return Stored(told or digest, _parse(answer.header("OCI-Subject"), step))


async def delete(registry: Registry, repository: str, target: str) -> None:
    """Delete a manifest by digest, or a tag alone where the registry knows how (end-9)."""
    step = f"delete {_shown(registry, repository, target)}"
    request = Request("DELETE", await _url(registry, repository, target), step)
    async with registry.send(request, repository_scope(repository, DELETE | PULL)):
        return


async def _url(registry: Registry, repository: str, target: str) -> str:
    return await registry.url(f"{repository}/manifests/{target}")


def _shown(registry: Registry, repository: str, target: str) -> str:
    return f"{registry.name}/{repository}{'@' if ':' in target else ':'}{target}"


def _wanted(target: str) -> Digest | None:
    return parse_digest(target) if ":" in target else None


def _told(answer: Answer, step: str) -> Digest | None:
    return _parse(answer.header("Docker-Content-Digest"), step)


def _parse(text: str | None, step: str) -> Digest | None:
    """What a header tells; an unknown algorithm counts as nothing told."""
    if not text:
        return None
    try:
        return parse_digest(text.strip())
    except DigestInvalid as error:
        if text.partition(":")[0] in ("sha256", "sha512"):
            raise Garbled(f"{step}: the registry tells {text[:100]!a} as the digest") from error
        return None


def _checked(content: bytes, wanted: Digest | None, step: str) -> Digest:
    digest = Digest.of(content, "sha256" if wanted is None else wanted.algorithm)
    if wanted is not None and digest != wanted:
        raise ContentMismatch(f"{step}: expected {wanted}, the bytes that came are {digest}")
    return digest


def _media_type(answer: Answer) -> str:
    return media_types.without_parameters(answer.header("Content-Type") or "")
