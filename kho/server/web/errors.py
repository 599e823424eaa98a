"""Exception to response: the one place where errors become answers."""

from kho.oci.errors import RegistryError
from kho.server.web.request import Response

_JSON = (b"content-type", b"application/json")


def render(error: RegistryError) -> Response:
    """The OCI error body with its status and headers."""
    body = error.body()
    headers = [_JSON, (b"content-length", b"%d" % len(body))]
    headers += [
        (name.lower().encode("ascii"), value.encode("ascii")) for name, value in error.headers
    ]
    return Response(error.status, headers, body)
