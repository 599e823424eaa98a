"""Exception to response: the one place where errors become answers."""

import errno
from typing import Final

from kho.oci.errors import RegistryError, Unavailable
from kho.server.web.request import Response

_JSON: Final = (b"content-type", b"application/json")
_SCARCE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def render(error: RegistryError) -> Response:
    """The OCI error body with its status and headers."""
    body = error.body()
    headers = [_JSON, (b"content-length", b"%d" % len(body))]
    headers += [
        (name.lower().encode("ascii"), value.encode("ascii")) for name, value in error.headers
    ]
    return Response(error.status, headers, body)


def scarcity(error: Exception) -> Unavailable | None:
    """The answer to a failure for want of memory, descriptors or threads, which passes."""
    lacking = (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno in _SCARCE)
        or (isinstance(error, RuntimeError) and "start new thread" in str(error))
    )
    return Unavailable("the server lacks memory or descriptors") if lacking else None
