"""What went wrong, told to each audience in its own way."""

from typing import Final

from kho.oci.errors import InvalidRequest, RegistryError, Unauthorized
from kho.server.index.errors import Conflict, Invalid, NotFound, Refused
from kho.server.resources import Resources
from kho.server.web import errors
from kho.server.web.api import problems
from kho.server.web.request import Audience, Request, Response
from kho.server.web.ui import failure

# Refusals of the index, which knows nothing of HTTP.
_STATUS: Final = {Invalid: 400, NotFound: 404, Conflict: 409}


async def answer(
    resources: Resources | None, request: Request, error: RegistryError | Refused
) -> Response:
    """The answer that the caller understands."""
    if request.audience is Audience.PROGRAMS:
        return problems.render(request, error, _status(error))
    if request.audience is Audience.PEOPLE and resources is not None:
        if isinstance(error, Unauthorized) and request.method in {"GET", "HEAD"}:
            return failure.to_sign_in(request)
        return await failure.answer(resources, request, error, _status(error))
    if isinstance(error, Refused):
        return errors.render(InvalidRequest(error.template, headers=(), **error.values))
    return errors.render(error)


def _status(error: RegistryError | Refused) -> int:
    if isinstance(error, RegistryError):
        return error.status
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 400)
