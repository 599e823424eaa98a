"""Pages from templates: language, theme, formats, and the headers that every page has.

    handler ─► page(resources, request, "tags.html", ...) ─► frame.html around the template
                 who: cookies ─► Visit      how: preferences ─► language, theme, runtime

Templates escape all values. Nothing of a page runs or is styled but files of ours (W1).
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from kho.oci.errors import RegistryError
from kho.server.index.rights import access
from kho.server.policy.access import ANYONE, NOBODY, Action, Principal, allowed
from kho.server.resources import Resources
from kho.server.web import visits
from kho.server.web.paths import page_of
from kho.server.web.request import Request, Response
from kho.server.web.ui import charts, preferences, room, static
from kho.server.web.ui.icons import drawings
from kho.server.web.visits import Visit

if TYPE_CHECKING:
    from jinja2 import Environment

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_NOTICE: Final = re.compile(r"[a-z-]{1,40}")
_DRAWINGS: Final = "<!-- drawings -->"
# Of a parameter; an encoded name could be any.
_SECRET_NAME: Final = re.compile("pass|secret|token|code|cred|auth|%|state", re.IGNORECASE)
SAFE_HEADERS: Final = (
    ("cache-control", "no-store"),
    ("content-security-policy", _POLICY),
    ("cross-origin-opener-policy", "same-origin"),
    ("referrer-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
)


class Viewer:
    """Who looks at a page, as templates ask."""

    def __init__(self, here: Visit, principal: Principal) -> None:
        self.name = here.visitor.name if here.visitor else ""
        self.signed_in = here.visitor is not None
        self.open = principal.open
        self.admin = allowed(principal, Action.ADMIN, None)
        self._principal = principal

    def may(self, action: str, repository: str) -> bool:
        """Whether the viewer has the action on the repository, as far as grants go."""
        return allowed(self._principal, Action(action), repository)


async def page(
    resources: Resources,
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: tuple[tuple[str, str], ...] = (),
    known: Visit | None = None,
    shared: Mapping[str, object] = MappingProxyType({}),
    **values: object,
) -> Response:
    """A whole page; a request of htmx for a part (`HX-Target`) gets the same page, and picks.

    `known` is the visit, where the handler has looked at it already; `shared` are values that pages
    have in common.
    """
    here = known or await visits.visit(resources, request)
    if here.visitor is not None:
        principal = here.visitor.principal
    elif await access.is_open(resources):
        principal = ANYONE
    else:
        principal = await access.anonymous(resources, shown=False)
    frame = _frame(resources, request, here, principal)
    return _answer(template, status, here, headers, {**frame, **shared, **values})


def bare(
    resources: Resources,
    request: Request,
    template: str,
    *,
    status: int,
    headers: tuple[tuple[str, str], ...] = (),
    **values: object,
) -> Response:
    """A page for anybody, without a question to the database."""
    here = visits.stranger(request, resources.config)
    frame = _frame(resources, request, here, NOBODY)
    return _answer(template, status, here, headers, {**frame, **values})


def _frame(
    resources: Resources, request: Request, here: Visit, principal: Principal
) -> dict[str, object]:
    """What templates know beside the values of their page."""
    chosen = preferences.of(request, here.base)
    return {
        "viewer": Viewer(here, principal),
        "host": here.host,
        "base": here.base,
        "secure": here.secure,
        "token": here.token,
        "path": request.path,
        "here": address_of(request),
        "language": chosen.language,
        "theme": chosen.theme,
        "runtime": chosen.runtime,
        "index": resources.config.index.enabled,
        "notice": notice_of(request),
    }


def _answer(
    template: str,
    status: int,
    here: Visit,
    headers: tuple[tuple[str, str], ...],
    values: Mapping[str, object],
) -> Response:
    text = environment(str(values["language"])).get_template(template).render(values)
    text = text.replace(_DRAWINGS, drawings(text))
    return html(status, text, *here.cookies(), *headers)


def notice_of(request: Request) -> str:
    """What a form before this page has done: a word that notices.html has a text for, or none."""
    try:
        word = request.query("done") or ""
    except RegistryError:  # a query that cannot be read, which another answer tells
        return ""
    return word if _NOTICE.fullmatch(word) else ""


def html(status: int, text: str, *more: tuple[str, str]) -> Response:
    """A page's text with the headers that keep it harmless."""
    body = text.encode()
    lines = [
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", str(len(body))),
        *SAFE_HEADERS,
        *more,
    ]
    headers = [(key.lower().encode("ascii"), value.encode("ascii")) for key, value in lines]
    return Response(status, headers, body)


def address_of(request: Request) -> str:
    """The path and query of a page, as links have it; what may be secret is left out (W4)."""
    query = request.scope["query_string"].decode("latin-1")
    kept = "&".join(
        part for part in query.split("&") if not _SECRET_NAME.search(part.partition("=")[0])
    )
    return quote(request.path, safe="/:@") + (f"?{kept}" if kept else "")


@lru_cache(maxsize=8)
def environment(language: str) -> "Environment":
    """Jinja's, for one language; loaded with the first page, not with the worker."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    from kho.server.web.ui import formats  # noqa: PLC0415
    from kho.server.web.ui.catalogues import translations  # noqa: PLC0415

    made = Environment(
        loader=PackageLoader("kho.server.web.ui", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    found = translations(language)
    made.install_gettext_callables(found.gettext, found.ngettext, newstyle=True)  # type: ignore[attr-defined]
    made.filters.update(formats.filters(language, found.gettext, found.ngettext))
    made.filters.update(
        chart_bars=charts.bars,
        chart_line=charts.line,
        chart_shares=charts.shares,
        chart_treemap=charts.treemap,
        fit=room.fit,
        told_within=room.cut,
        pretty_within=room.pretty,
    )
    made.globals.update(
        asset=static.address,
        icon=formats.icon,
        page_of=page_of,
        languages=preferences.LANGUAGES,
        runtimes=preferences.RUNTIMES,
    )
    return made
