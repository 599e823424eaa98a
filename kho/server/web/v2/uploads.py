"""Upload sessions (end-4 to end-6, end-11, end-13, end-14)."""

from dataclasses import replace

from kho.oci.digest import HEX_LENGTH, Digest, parse_digest
from kho.oci.errors import DigestInvalid, NameInvalid
from kho.oci.ranges import parse_chunk, upload_range
from kho.oci.reference import parse_name
from kho.server.index.rights import access
from kho.server.policy.access import Action
from kho.server.registry import blobs, uploads
from kho.server.registry.uploads import Body, UploadRow
from kho.server.resources import Resources
from kho.server.web import auth
from kho.server.web.request import Request, Response
from kho.server.web.v2.answers import empty_answer


def _blob_answer(repository: str, digest: Digest) -> Response:
    return empty_answer(
        201,
        ("Location", f"/v2/{repository}/blobs/{digest}"),
        ("Docker-Content-Digest", str(digest)),
    )


def _session_answer(status: int, repository: str, upload_id: str, size: int) -> Response:
    return empty_answer(
        status,
        ("Location", f"/v2/{repository}/blobs/uploads/{upload_id}"),
        ("Range", upload_range(size)),
        ("Docker-Upload-UUID", upload_id),
    )


def _body(request: Request) -> Body:
    header = request.header(b"content-range")
    chunk = None if header is None else parse_chunk(header)
    return Body(request.chunks(ahead=True), request.content_length, chunk)


async def start(resources: Resources, request: Request) -> Response:
    """Mount, take a whole blob, or open a session."""
    name = request.values.name
    mounted = await _mount(resources, request)
    if mounted is not None:
        return _blob_answer(name, mounted)
    wanted = request.query("digest")
    if wanted is not None:
        digest = parse_digest(wanted)
        await uploads.put_whole(resources, name, request.caller, digest, _body(request))
        return _blob_answer(name, digest)
    algorithm = request.query("digest-algorithm") or "sha256"
    if algorithm not in HEX_LENGTH:
        raise DigestInvalid(
            "digest-algorithm must be %(allowed)s",
            allowed=" or ".join(HEX_LENGTH),
            detail=algorithm[:64],
        )
    row = await uploads.start(resources, name, request.caller, algorithm)
    return _session_answer(202, name, row.id, 0)


async def _mount(resources: Resources, request: Request) -> Digest | None:
    """The digest when it was mounted; whatever hinders it, the answer is an ordinary session."""
    wanted, source = request.query("mount"), request.query("from")
    if wanted is None:
        return None
    try:
        digest = parse_digest(wanted)
        source = None if source is None else parse_name(source)
    except (DigestInvalid, NameInvalid):
        return None
    # Without a source, from anywhere: for those alone who may read everything. The question comes
    # before the look, so that no answer takes longer because a blob is there (A2).
    principal = request.caller.principal
    if not await access.may(resources, principal, Action.PULL, source or ""):
        wider = replace(principal, ceilings=principal.ceilings[1:])
        if principal.bearer and source and await access.may(resources, wider, Action.PULL, source):
            raise auth.challenge_for_more(resources, request, Action.PUSH)
        return None
    done = await blobs.mount(resources, request.values.name, digest, source, request.caller)
    return digest if done else None


async def _find(resources: Resources, request: Request) -> UploadRow:
    values = request.values
    return await uploads.find(resources, values.name, values.upload_id, request.caller)


async def status(resources: Resources, request: Request) -> Response:
    """How far the session is."""
    row = await _find(resources, request)
    size = await uploads.status(resources, row)
    return _session_answer(204, row.repository, row.id, size)


async def append(resources: Resources, request: Request) -> Response:
    """A chunk, or a stream of any length."""
    row = await _find(resources, request)
    size = await uploads.append(resources, row, _body(request))
    return _session_answer(202, row.repository, row.id, size)


async def finish(resources: Resources, request: Request) -> Response:
    """The last bytes, if any, and the digest of the whole."""
    row = await _find(resources, request)
    wanted = request.query("digest")
    if wanted is None:
        raise DigestInvalid("the query parameter digest is missing")
    digest = parse_digest(wanted)
    await uploads.finish(resources, row, digest, _body(request), request.caller)
    return _blob_answer(row.repository, digest)


async def cancel(resources: Resources, request: Request) -> Response:
    """Forget the session."""
    row = await _find(resources, request)
    await uploads.cancel(resources, row)
    return empty_answer(204, ("Docker-Upload-UUID", row.id))
