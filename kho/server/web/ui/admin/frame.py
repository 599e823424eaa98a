"""What all pages of administration share: the menu beside them."""

from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import forms, render
from kho.server.web.ui.forms import Fields, Posted, Problem

PLACE = "/-/admin"


async def page(
    resources: Resources,
    request: Request,
    section: str,
    template: str = "",
    *,
    form: Posted | None = None,
    problem: Problem | None = None,
    status: int = 0,
    where: str = "",
    **values: object,
) -> Response:
    """A page of a section; with a problem the form keeps what was typed.

    `where` is its address, unless that is the section's own.
    """
    typed: Fields = form.fields if form and problem else forms.NOTHING_TYPED
    place = f"{PLACE}/{section}" if section else PLACE
    return await render.page(
        *(resources, request, template or f"admin_{section or 'overview'}.html"),
        status=status or forms.status_of(problem),
        known=form.here if form else None,
        **{  # type: ignore[arg-type]
            "here": where or (place if form else render.address_of(request)),
            "section": section,
            "problem": problem,
            "typed": typed,
            **values,
        },
    )
