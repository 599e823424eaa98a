"""PUT, GET, HEAD, DELETE of a manifest (end-3, end-7, end-9)."""

from kho.oci.digest import Digest
from kho.oci.errors import ManifestTooLarge, TagInvalid, UriTooLong
from kho.oci.reference import parse_tag
from kho.server.index import traffic
from kho.server.registry import manifests, tags
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.v2.answers import content_headers, empty_answer, etag_matches, not_modified


async def get(resources: Resources, request: Request) -> Response:
    """The bytes as stored, whatever Accept says: nothing is ever converted."""
    row = await manifests.find(resources, request.values.name, request.values.reference)
    if etag_matches(request.header(b"if-none-match"), row.digest):
        return not_modified(row.digest)
    if request.method == "GET":
        traffic.pulled(resources, request.values.name, request.values.reference, row.digest)
    headers = content_headers(row.media_type, len(row.body), row.digest)
    return Response(200, [*headers], row.body)


async def put(resources: Resources, request: Request) -> Response:
    """Store, and point the tag or the tags of `?tag=` at it."""
    limit = resources.config.limits.manifest_bytes
    too_large = ManifestTooLarge("manifests are at most %(limit)s bytes", limit=limit)
    content = await request.body(limit, too_large)
    name, reference = request.values.name, request.values.reference
    more = _more_tags(resources, request)
    push = manifests.Push(
        repository=name,
        content=content,
        content_type=request.header(b"content-type"),
        digest=reference if isinstance(reference, Digest) else None,
        tags=more if isinstance(reference, Digest) else (reference,),
        caller=request.caller,
        if_match=_precondition(request),
    )
    stored = await manifests.put(resources, push)
    traffic.pushed(resources, name, push.tags)
    headers = [
        ("Location", f"/v2/{name}/manifests/{stored.digest}"),
        ("Docker-Content-Digest", str(stored.digest)),
    ]
    if stored.subject is not None:
        headers.append(("OCI-Subject", str(stored.subject)))
    if more:
        headers.append(("OCI-Tag", ", ".join(more)))
    return empty_answer(201, *headers)


def _more_tags(resources: Resources, request: Request) -> tuple[str, ...]:
    """The tags of `?tag=` (end-7b), each once; they go with a digest only."""
    found = tuple(dict.fromkeys(request.query_all("tag")))
    limit = resources.config.limits.tags_per_request
    if len(found) > limit:
        raise UriTooLong(
            "at most %(limit)s tags in one request", limit=limit, detail={"tags": len(found)}
        )
    if found and not isinstance(request.values.reference, Digest):
        raise TagInvalid("?tag= goes with a manifest that is pushed by digest")
    return tuple(parse_tag(tag) for tag in found)


def _precondition(request: Request) -> str | None:
    """If-Match of one digest or `*`; If-None-Match `*` says: only when the tag is new."""
    header = request.header(b"if-match")
    if header is not None:
        return header.strip().strip('"')
    return "" if (request.header(b"if-none-match") or "").strip() == "*" else None


async def delete(resources: Resources, request: Request) -> Response:
    """A tag alone, or a manifest with every tag that points at it."""
    name, reference = request.values.name, request.values.reference
    if isinstance(reference, Digest):
        await manifests.delete(resources, name, reference, request.caller)
        return empty_answer(202, ("Docker-Content-Digest", str(reference)))
    await tags.delete(resources, name, reference, request.caller)
    return empty_answer(202)
