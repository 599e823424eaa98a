"""Administration: who may see which repository, and why somebody may do something."""

from kho.oci.errors import NameInvalid
from kho.server.index.errors import Invalid, NotFound
from kho.server.index.rights import repositories as rights
from kho.server.index.rights.explain import Explanation, explain
from kho.server.policy.access import ON_REPOSITORIES
from kho.server.resources import Resources
from kho.server.web.redirects import redirect
from kho.server.web.request import Request, Response
from kho.server.web.ui import forms, lists
from kho.server.web.ui.admin import frame
from kho.server.web.ui.forms import Posted, Problem

_HERE = "/-/admin/repositories"


async def repositories(resources: Resources, request: Request) -> Response:
    """All of them, those without manifests too; with `?name=` one."""
    name = request.query("name")
    if name:
        return await _one(resources, request, name)
    return await _list(resources, request)


async def _list(
    resources: Resources,
    request: Request,
    form: Posted | None = None,
    problem: Problem | None = None,
) -> Response:
    found = await lists.named(request, lambda after, limit: rights.page(resources, after, limit))
    return await frame.page(
        resources, request, "repositories", form=form, problem=problem, found=found
    )


async def _one(resources: Resources, request: Request, name: str) -> Response:
    try:
        known = await rights.show(resources, name)
    except Invalid:
        raise NotFound("there is no such repository") from None
    return await frame.page(
        *(resources, request, "repositories", "admin_repository.html"),
        repository=known.repository,
        rights=known.rights,
    )


async def change(resources: Resources, request: Request) -> Response:
    """Open one to all, or close it."""
    form = await forms.posted(resources, request)
    name, public = form.text("name"), form.text("do") == "public"
    work = rights.set_public(resources, name, public, by=request.caller.by)
    problem = await forms.refusal(work, "add")
    if problem:
        return await _list(resources, request, form, problem)
    word = "repository-public" if public else "repository-private"
    return redirect(f"{_HERE}?name={name}&done={word}")


async def access(resources: Resources, request: Request) -> Response:
    """Which rule decides over a request."""
    asked = {
        name: (request.query(name) or "").strip()[:255]
        for name in ("subject", "action", "repository")
    }
    found: list[Explanation] = []

    async def work() -> None:
        try:
            found.append(await explain(resources, **asked))
        except NameInvalid as error:
            raise Invalid("%(name)s is %(wrong)s", name=asked["repository"], wrong=error) from None

    problem: Problem | None = None
    if any(asked.values()):
        problem = await forms.refusal(work())
    return await frame.page(
        *(resources, request, "access"),
        problem=problem,
        asked=asked,
        found=found[0] if found else None,
        actions=[str(one) for one in ON_REPOSITORIES],
    )
