"""Problem details (RFC 9457): what went wrong, for programs."""

from http import HTTPStatus
from typing import Final

import msgspec

from kho.oci.errors import RegistryError
from kho.server.index.errors import Invalid, Refused
from kho.server.web.request import Request, Response

MEDIA_TYPE: Final = "application/problem+json"


class Mistakes(Invalid):
    """A request with mistakes in its query or body; `errors` names each."""

    def __init__(self, text: str, errors: list[str]) -> None:
        super().__init__(f"{text}: {errors[0]}" if len(errors) == 1 else text)
        self.errors = errors


class UnsupportedType(RegistryError):
    """A body of another media type than the one that is read here."""

    status = 415
    code = "UNSUPPORTED"


class BodyTooLarge(RegistryError):
    """A body that is longer than this operation takes."""

    status = 413
    code = "SIZE_INVALID"


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong (RFC 9457).

    `detail` says it for people; `code` is the word of the distribution specification, where one
    fits; `errors` names every mistake of a query or body.
    """

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    code: str = ""
    instance: str = ""
    errors: list[str] = []


def render(request: Request, error: RegistryError | Refused, status: int) -> Response:
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
        errors=error.errors if isinstance(error, Mistakes) else [],
    )
    body = msgspec.json.encode(problem)
    lines = [
        (b"content-type", MEDIA_TYPE.encode("ascii")),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    lines += [(name.lower().encode("ascii"), text.encode("ascii")) for name, text in headers]
    return Response(status, lines, body)
