"""Administration: the access tokens of all users and robots."""

from typing import Final

from kho.server.index.errors import Invalid
from kho.server.index.tokens import access_tokens
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import forms, token_form
from kho.server.web.ui.admin import frame
from kho.server.web.ui.forms import Posted, Problem
from kho.server.web.ui.token_form import NewToken

_HERE: Final = "/-/admin/tokens"
_ROWS: Final = 100
_OWNER: Final = 140
_DIGITS: Final = 16


async def tokens(resources: Resources, request: Request) -> Response:
    """The tokens of all, or of one owner."""
    return await _tokens(resources, request)


async def _tokens(
    resources: Resources,
    request: Request,
    form: Posted | None = None,
    problem: Problem | None = None,
    made: NewToken | None = None,
) -> Response:
    owner = (request.query("owner") or "").strip()[:_OWNER]
    after = _whole(request.query("after") or "")
    rows = []
    try:
        rows = await access_tokens.page(resources, owner or None, after, _ROWS + 1)
    except Invalid as error:
        problem = problem or Problem(error, form="list")
    return await frame.page(
        *(resources, request, "tokens"),
        form=form,
        problem=problem,
        status=201 if made else 0,
        rows=[(row, access_tokens.told_ceiling(row.ceiling)) for row in rows[:_ROWS]],
        owner=owner,
        following=rows[_ROWS - 1].id if len(rows) > _ROWS else 0,
        start=after,
        made=made,
    )


async def add(resources: Resources, request: Request) -> Response:
    """Make one for somebody, and show it this once."""
    form = await forms.posted(resources, request)
    made, problem = await token_form.make(resources, form, form.text("owner"), request.caller.by)
    return await _tokens(resources, request, form, problem, made)


async def revoke(resources: Resources, request: Request) -> Response:
    """End anybody's."""
    form = await forms.posted(resources, request)
    work = access_tokens.revoke_id(resources, number_of(form), None, by=request.caller.by)
    problem = await forms.refusal(work)
    if problem:
        return await _tokens(resources, request, None, problem)
    return forms.done(_HERE, "token-revoked")


def number_of(form: Posted) -> int:
    """The id of a token; 0, which none has, for anything else."""
    return _whole(form.text("id"))


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0
