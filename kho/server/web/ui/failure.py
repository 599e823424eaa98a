"""Pages for what went wrong, and the way to the sign-in page."""

from typing import Final
from urllib.parse import quote, urlsplit

from kho.oci.errors import RegistryError
from kho.server.index.errors import Refused
from kho.server.resources import Resources
from kho.server.web.address import base_url
from kho.server.web.pages import fill, joined, page, problem, redirect
from kho.server.web.request import Request, Response

_TITLES: Final = {
    400: "This did not work",
    403: "Not allowed",
    404: "Not found",
    429: "Please wait",
    503: "Not available at the moment",
}


def to_sign_in(request: Request) -> Response:
    """Sign in, and come back."""
    query = request.scope["query_string"].decode("latin-1")
    here = request.path + (f"?{query}" if query else "")
    return redirect(f"/auth/login?next={quote(here, safe='')}")


async def render(
    resources: Resources, request: Request, error: RegistryError | Refused, status: int
) -> Response:
    """A page that says what is wrong."""
    host = urlsplit(base_url(request.scope, resources.config)).netloc
    told = error.message if isinstance(error, RegistryError) else str(error)
    headers = error.headers if isinstance(error, RegistryError) else ()
    body = joined(problem(told), fill('<p><a href="/">All repositories</a></p>'))
    return page(status, _TITLES.get(status, "This did not work"), body, host, *headers)
