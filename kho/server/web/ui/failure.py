"""Pages for what went wrong, and the way to the sign-in page."""

from urllib.parse import quote

from kho.oci.errors import RegistryError
from kho.server.index.errors import Refused
from kho.server.resources import Resources
from kho.server.web.redirects import redirect
from kho.server.web.request import Request, Response
from kho.server.web.ui import render


def to_sign_in(request: Request) -> Response:
    """Sign in, and come back."""
    here = render.address_of(request)
    return redirect(f"/auth/login?next={quote(here, safe='')}")


async def answer(
    resources: Resources, request: Request, error: RegistryError | Refused, status: int
) -> Response:
    """A page that says what is wrong."""
    headers = error.headers if isinstance(error, RegistryError) else ()
    shown = tuple(one for one in headers if one[0] != "WWW-Authenticate")
    try:
        return await render.page(
            *(resources, request, "failure.html"),
            status=status,
            headers=shown,
            failed=status,
            told=error,
        )
    except Exception:  # noqa: BLE001  what failed may fail again: a page without a question
        return render.bare(
            *(resources, request, "failure.html"),
            status=status,
            headers=shown,
            failed=status,
            told=error,
        )
