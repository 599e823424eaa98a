"""GET, HEAD, DELETE of a blob (end-2, end-10)."""

from typing import Final

from kho.oci.digest import Digest
from kho.oci.media_types import OCTET_STREAM
from kho.oci.ranges import ByteRange, parse_range
from kho.server.registry import blobs
from kho.server.resources import Resources
from kho.server.web.request import BlobResponse, Request, Response
from kho.server.web.v2.answers import content_headers, empty_answer, etag_matches, not_modified

# A browser must neither guess a type nor show a blob as a page of this origin.
_ALWAYS: Final = (
    (b"accept-ranges", b"bytes"),
    (b"cache-control", b"max-age=31536000"),
    (b"x-content-type-options", b"nosniff"),
)


def _digest(request: Request) -> Digest:
    assert request.values.digest is not None
    return request.values.digest


async def get(resources: Resources, request: Request) -> Response | BlobResponse:
    """The blob or one range of it; HEAD alike, without opening it."""
    digest = _digest(request)
    if request.method == "HEAD" and request.header(b"range") is None:
        size = await blobs.size(resources, request.values.name, digest)
        if etag_matches(request.header(b"if-none-match"), digest):
            return not_modified(digest)
        return Response(200, [*content_headers(OCTET_STREAM, size, digest), *_ALWAYS])
    reader = await blobs.read(resources, request.values.name, digest)
    try:
        if etag_matches(request.header(b"if-none-match"), digest):
            reader.close()
            return not_modified(digest)
        part = _part(request, digest, reader.size)
    except BaseException:
        reader.close()
        raise
    whole = ByteRange(0, reader.size)
    span = part or whole
    headers = [*content_headers(OCTET_STREAM, span.length, digest), *_ALWAYS]
    if part is not None:
        text = f"bytes {part.start}-{part.stop - 1}/{reader.size}"
        headers.append((b"content-range", text.encode("ascii")))
    return BlobResponse(206 if part else 200, headers, reader, span.start, span.stop)


def _part(request: Request, digest: Digest, size: int) -> ByteRange | None:
    """The range asked for, unless If-Range names other content."""
    header = request.header(b"range")
    if header is None:
        return None
    condition = request.header(b"if-range")
    if condition is not None and condition.strip() not in (str(digest), f'"{digest}"'):
        return None
    return parse_range(header, size)


async def delete(resources: Resources, request: Request) -> Response:
    """Take the blob out of this repository."""
    digest = _digest(request)
    await blobs.delete(resources, request.values.name, digest, request.caller)
    return empty_answer(202, ("Docker-Content-Digest", str(digest)))
