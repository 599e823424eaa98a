"""Forms of pages: what was typed, what was refused, and where one goes when it is done.

POST ─► visits.form ─► work ──► done: 303 to a page with ?done=WORD, a text of notices.html
                         └────► refused: the same page, with the reason and what was typed
"""

from collections.abc import Awaitable, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlencode

from kho.oci.errors import RegistryError, Worded
from kho.server.index.errors import Conflict, NotFound, Refused
from kho.server.resources import Resources
from kho.server.web import visits
from kho.server.web.redirects import redirect
from kho.server.web.request import Request, Response
from kho.server.web.visits import Visit

Fields = Mapping[str, str]

NOTHING_TYPED: Final[Fields] = {}
_BROKEN: Final = 500
_LINES: Final = 64


class Problem(NamedTuple):
    """Why something was not done; `form` is the one of the page's forms that asked for it."""

    text: Worded
    status: int = 400
    form: str = ""


class Posted(NamedTuple):
    """A form that came from a page of ours."""

    here: Visit
    fields: Fields

    def text(self, name: str) -> str:
        """What was typed, without space around it."""
        return self.fields.get(name, "").strip()

    def lines(self, name: str) -> tuple[str, ...]:
        """What was typed in lines, or divided by commas or spaces."""
        words = self.fields.get(name, "").replace(",", " ").split()
        return tuple(words[:_LINES])

    def has(self, name: str) -> bool:
        """Whether a box was ticked, or a button pressed."""
        return name in self.fields


async def posted(resources: Resources, request: Request, most: int = visits.FORM_BYTES) -> Posted:
    """The form, if it came from a page of ours. Raises Denied."""
    return Posted(*await visits.form(resources, request, most))


async def refusal(work: Awaitable[object], form: str = "") -> Problem | None:
    """Do it; None when it is done, else why it is not."""
    try:
        await work
    except Refused as error:
        status = {NotFound: 404, Conflict: 409}.get(type(error), 400)
        return Problem(error, status, form)
    except RegistryError as error:
        if error.status >= _BROKEN:
            raise
        return Problem(error, error.status, form)
    return None


def done(path: str, word: str) -> Response:
    """Go on to a page that says so."""
    return redirect(f"{path}?{urlencode({'done': word})}")


def status_of(problem: Problem | None) -> int:
    """Of the page that shows it."""
    return problem.status if problem else 200
