"""The manifest and the config of an image as they were pushed, to be downloaded."""

from kho.oci.errors import RouteUnknown
from kho.server.registry import blobs, manifests
from kho.server.registry.contents import image as images
from kho.server.resources import Resources
from kho.server.web.request import BlobResponse, Request, Response
from kho.server.web.ui.images import image


def headers_of(name: bytes, size: int) -> list[tuple[bytes, bytes]]:
    """Of bytes that a browser keeps, and never shows (W1); `name` has nothing to be quoted."""
    return [
        (b"content-type", b"application/octet-stream"),
        (b"content-length", b"%d" % size),
        (b"content-disposition", b'attachment; filename="' + name + b'"'),
        (b"content-security-policy", b"default-src 'none'; sandbox"),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
    ]


async def download(resources: Resources, request: Request) -> Response | BlobResponse:
    """`?part=` says which. Raises ManifestUnknown, BlobUnknown, RouteUnknown."""
    name, reference = request.values.name, image.reference_of(request)
    if request.query("part") == "manifest":
        body = (await manifests.find(resources, name, reference)).body
        return Response(200, headers_of(b"manifest.json", len(body)), body)
    if request.query("part") != "config":
        raise RouteUnknown("the parts of an image are manifest and config")
    digest = await images.config_of(resources, name, reference, request.query("platform") or None)
    reader = await blobs.read(resources, name, digest)
    headers = headers_of(b"config.json", reader.size)
    return BlobResponse(200, headers, reader, 0, reader.size)
