"""One's own account: what it is, password, access tokens, where one is signed in."""

from typing import Final

from kho.oci.errors import Denied
from kho.server.index.browser import own_account
from kho.server.index.errors import Invalid, NotFound
from kho.server.index.people.accounts import LOCAL
from kho.server.index.tokens import access_tokens
from kho.server.policy.access import By
from kho.server.resources import Resources
from kho.server.web import visits
from kho.server.web.request import Request, Response
from kho.server.web.ui import forms, render, token_form
from kho.server.web.ui.agents import in_words
from kho.server.web.ui.forms import Fields, Posted, Problem
from kho.server.web.ui.token_form import NewToken
from kho.server.web.visits import Visit

_HERE: Final = "/-/account"
_TOKENS: Final = "/-/account/tokens"
_SESSIONS: Final = "/-/account/sessions"
_ROWS: Final = 100
_DIGITS: Final = 16


async def profile(resources: Resources, request: Request) -> Response:
    """Who one is, and what one may do."""
    return await _profile(resources, request, await visits.visit(resources, request), None)


async def change_password(resources: Resources, request: Request) -> Response:
    """Old and new; all other logins end."""
    form = await forms.posted(resources, request)
    name = _name(form.here)
    old, new = form.fields.get("old", ""), form.fields.get("new", "")
    if new != form.fields.get("again", ""):
        wrong = Problem(Invalid("The two new passwords are not the same."), form="password")
        return await _profile(resources, request, form.here, wrong)
    problem = await forms.refusal(
        own_account.change_password(
            *(resources, name, old, new),
            by=request.caller.by,
            keep=_session(form.here),
        ),
        "password",
    )
    if problem:
        return await _profile(resources, request, form.here, problem)
    return forms.done(_HERE, "password-changed")


async def _profile(
    resources: Resources, request: Request, here: Visit, problem: Problem | None
) -> Response:
    if here.visitor is None:
        return await _nobody(resources, request, here)
    known = await own_account.show(resources, here.visitor.name)
    return await render.page(
        *(resources, request, "account.html"),
        status=forms.status_of(problem),
        known=here,
        here=_HERE,
        tab="profile",
        problem=problem,
        account=known.account,
        source=here.visitor.identity.source,
        groups=known.groups,
        grants=here.visitor.principal.grants,
        has_password=known.account is not None and known.account.source == LOCAL,
    )


async def tokens(resources: Resources, request: Request) -> Response:
    """One's access tokens, and the form for another."""
    return await _tokens(resources, request, await visits.visit(resources, request))


async def add_token(resources: Resources, request: Request) -> Response:
    """Make one, and show it this once."""
    form = await forms.posted(resources, request)
    owner = _owner(request, form.here)
    made, problem = await token_form.make(resources, form, owner, owner)
    typed = form.fields if problem else forms.NOTHING_TYPED
    return await _tokens(resources, request, form.here, problem, typed, made)


async def revoke_token(resources: Resources, request: Request) -> Response:
    """End one of one's own."""
    form = await forms.posted(resources, request)
    owner = _owner(request, form.here)
    work = access_tokens.revoke_id(resources, _number(form), owner, by=owner)
    problem = await forms.refusal(work)
    if problem:
        return await _tokens(resources, request, form.here, problem)
    return forms.done(_TOKENS, "token-revoked")


async def _tokens(
    resources: Resources,
    request: Request,
    here: Visit,
    problem: Problem | None = None,
    typed: Fields = forms.NOTHING_TYPED,
    made: NewToken | None = None,
) -> Response:
    if here.visitor is None:
        return await _nobody(resources, request, here)
    owner = f"user:{here.visitor.name}"
    after = _after(request)
    rows = await access_tokens.page(resources, owner, after, _ROWS + 1)
    return await render.page(
        *(resources, request, "account_tokens.html"),
        status=201 if made else forms.status_of(problem),
        known=here,
        here=_TOKENS,
        tab="tokens",
        problem=problem,
        typed=typed,
        made=made,
        login_name=here.visitor.name,
        rows=[(row, access_tokens.told_ceiling(row.ceiling)) for row in rows[:_ROWS]],
        following=f"?after={rows[_ROWS - 1].id}" if len(rows) > _ROWS else "",
        first="?" if after else "",
    )


async def sessions(resources: Resources, request: Request) -> Response:
    """Where one is signed in."""
    return await _sessions(resources, request, await visits.visit(resources, request), None)


async def end_session(resources: Resources, request: Request) -> Response:
    """Sign out somewhere else."""
    form = await forms.posted(resources, request)
    subject = _owner(request, form.here)
    problem = await forms.refusal(own_account.end_login(resources, subject, _number(form)))
    if problem:
        return await _sessions(resources, request, form.here, problem)
    return forms.done(_SESSIONS, "session-ended")


async def end_others(resources: Resources, request: Request) -> Response:
    """Sign out everywhere else."""
    form = await forms.posted(resources, request)
    subject = _owner(request, form.here)
    await own_account.end_others(resources, subject, _session(form.here))
    return forms.done(_SESSIONS, "sessions-ended")


async def _sessions(
    resources: Resources, request: Request, here: Visit, problem: Problem | None
) -> Response:
    if here.visitor is None:
        return await _nobody(resources, request, here)
    after = _after(request)
    subject = f"user:{here.visitor.name}"
    rows = await own_account.logins_of(resources, subject, after, _ROWS + 1)
    current = _session(here)
    living = [row for row in rows[:_ROWS] if not row.expired]
    # This one first, then those that were used last.
    living.sort(key=lambda row: (row.id != current, -(row.last_used_at or row.created_at)))
    return await render.page(
        *(resources, request, "account_sessions.html"),
        status=forms.status_of(problem),
        known=here,
        here=_SESSIONS,
        tab="sessions",
        problem=problem,
        current=current,
        rows=[(row, in_words(row.label)) for row in living],
        following=f"?after={rows[_ROWS - 1].id}" if len(rows) > _ROWS else "",
        first="?" if after else "",
    )


async def _nobody(resources: Resources, request: Request, here: Visit) -> Response:
    return await render.page(resources, request, "account_nobody.html", known=here, here=_HERE)


def _name(here: Visit) -> str:
    if here.visitor is None:
        raise Denied("You have no account: nobody has one here yet.")
    return here.visitor.name


def _owner(request: Request, here: Visit) -> By:
    """The subject of one's own things, as the audit trail names it. Raises Denied."""
    _name(here)
    return request.caller.by


def _session(here: Visit) -> int:
    return (here.visitor.identity.credential or 0) if here.visitor else 0


def _number(form: Posted) -> int:
    text = form.text("id")
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise NotFound("there is no such thing")
    return int(text)


def _after(request: Request) -> int:
    text = request.query("after") or "0"
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise Invalid("the address of this page is not right: begin with the first page")
    return int(text)
