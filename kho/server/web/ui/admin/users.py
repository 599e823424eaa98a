"""Administration: accounts of people."""

from urllib.parse import quote

from kho.server.index.errors import Invalid
from kho.server.index.people import accounts
from kho.server.index.people.accounts import Change
from kho.server.index.rights import access
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import forms, lists
from kho.server.web.ui.admin import frame
from kho.server.web.ui.forms import Posted, Problem

_LIST = "/-/admin/users"
_CHANGES = {
    "disable": Change(disabled=True),
    "enable": Change(disabled=False),
    "admin": Change(admin=True),
    "no-admin": Change(admin=False),
}


async def users(resources: Resources, request: Request) -> Response:
    """The accounts, and the form for another."""
    return await _users(resources, request)


async def _users(
    resources: Resources,
    request: Request,
    form: Posted | None = None,
    problem: Problem | None = None,
) -> Response:
    found = await lists.named(request, lambda after, limit: accounts.page(resources, after, limit))
    return await frame.page(
        *(resources, request, "users"),
        form=form,
        problem=problem,
        found=found,
        elsewhere=accounts.users_come_from_elsewhere(resources.config),
        first=not await access.anybody(resources),
    )


async def add(resources: Resources, request: Request) -> Response:
    """Make an account."""
    form = await forms.posted(resources, request)
    first: list[bool] = []

    async def work() -> None:
        if form.fields.get("password", "") != form.fields.get("again", ""):
            raise Invalid("the two passwords are not the same")
        first.append(
            await accounts.add(
                *(resources, form.text("name"), form.fields.get("password", "")),
                by=request.caller.by,
                admin=form.has("admin"),
                email=form.text("email") or None,
            )
        )

    problem = await forms.refusal(work(), "add")
    if problem:
        return await _users(resources, request, form, problem)
    return forms.done(_LIST, "first-added" if first == [True] else "user-added")


async def user(resources: Resources, request: Request) -> Response:
    """One account."""
    return await _user(resources, request)


async def _user(
    resources: Resources,
    request: Request,
    form: Posted | None = None,
    problem: Problem | None = None,
) -> Response:
    name = request.values.parts["user"]
    known = await accounts.show(resources, name)
    return await frame.page(
        *(resources, request, "users", "admin_user.html"),
        form=form,
        problem=problem,
        where=_address(name),
        account=known.account,
        groups=known.groups,
        grants=known.grants,
        address=_address(name),
        is_self=request.caller.name == f"user:{name}",
    )


async def change(resources: Resources, request: Request) -> Response:
    """Whatever the pressed button says."""
    form = await forms.posted(resources, request)
    name, what = request.values.parts["user"], form.text("do")
    by = request.caller.by
    place, word = _address(name), "user-changed"
    if what in _CHANGES:
        work = forms.refusal(accounts.change(resources, name, _CHANGES[what], by=by))
    elif what == "email":
        to = Change(email=form.text("email"))
        work = forms.refusal(accounts.change(resources, name, to, by=by), "email")
    elif what == "password":
        word = "user-password"
        work = forms.refusal(_set_password(resources, form, name, by), "password")
    elif what == "remove":
        place, word = _LIST, "user-removed"
        work = forms.refusal(_remove(resources, form, name, by), "remove")
    else:
        return await _user(resources, request)
    problem = await work
    if problem:
        return await _user(resources, request, form, problem)
    return forms.done(place, word)


async def _set_password(resources: Resources, form: Posted, name: str, by: str) -> None:
    password = form.fields.get("password", "")
    if password != form.fields.get("again", ""):
        raise Invalid("the two passwords are not the same")
    keep = form.here.visitor.identity.credential if form.here.visitor else None
    own = by == f"user:{name}"
    await accounts.set_password(resources, name, password, by=by, keep=(keep or 0) if own else 0)


async def _remove(resources: Resources, form: Posted, name: str, by: str) -> None:
    check_confirmed(form, name)
    await accounts.remove(resources, name, by=by)


def check_confirmed(form: Posted, name: str) -> None:
    """Raise Invalid unless the name was typed."""
    if form.text("confirm") != name:
        raise Invalid("type %(name)s to confirm", name=name)


def _address(name: str) -> str:
    return f"{_LIST}/{quote(name, safe='')}"
