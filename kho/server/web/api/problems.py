"""Problem details (RFC 9457): what went wrong, for programs."""

from http import HTTPStatus

import msgspec

from kho.oci.errors import RegistryError
from kho.server.index.errors import Refused
from kho.server.web.request import Request, Response


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """`code` is the word of the distribution specification, where one fits; `errors` are more."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    code: str = ""
    instance: str = ""
    errors: list[str] = []


def render(
    request: Request, error: RegistryError | Refused, status: int, errors: list[str] | None = None
) -> Response:
    """The answer, with the headers of the error."""
    headers: tuple[tuple[str, str], ...] = ()
    detail, code = str(error), ""
    if isinstance(error, RegistryError):
        detail, code, headers = error.message, error.code, error.headers
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        instance=request.path[:256],
        errors=errors or [],
    )
    body = msgspec.json.encode(problem)
    lines = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    lines += [(name.lower().encode("ascii"), text.encode("ascii")) for name, text in headers]
    return Response(status, lines, body)
