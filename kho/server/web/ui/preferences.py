"""What a person has chosen for pages: language, theme, container runtime; kept in a cookie."""

from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from kho.server.resources import Resources
from kho.server.web import visits
from kho.server.web.redirects import redirect
from kho.server.web.request import Request, Response

LANGUAGES: Final = {"en": "English", "vi": "Tiếng Việt"}
THEMES: Final = ("auto", "light", "dark")
RUNTIMES: Final = ("docker", "podman", "nerdctl", "crictl", "skopeo", "kho", "kubernetes")
_YEAR: Final = 365 * 24 * 3600


class Preferences(NamedTuple):
    """Each is one of the allowed words."""

    language: str
    theme: str = "auto"
    runtime: str = "docker"


def of(request: Request, base: str) -> Preferences:
    """What the cookie says; for the language, else what the browser asks for."""
    kept = dict(parse_qsl(visits.cookie(request, _cookie_name(base))[:200]))
    language = kept.get("language", "")
    return Preferences(
        language if language in LANGUAGES else _accepted(request),
        _one_of(THEMES, kept.get("theme")),
        _one_of(RUNTIMES, kept.get("runtime")),
    )


async def keep(resources: Resources, request: Request) -> Response:
    """The form: keep what it says, and go back."""
    here, fields = await visits.form(resources, request)
    before = of(request, here.base)
    chosen = Preferences(
        fields["language"] if fields.get("language") in LANGUAGES else before.language,
        _one_of(THEMES, fields.get("theme", before.theme)),
        _one_of(RUNTIMES, fields.get("runtime", before.runtime)),
    )
    value = urlencode(chosen._asdict())
    back = visits.return_path(fields.get("back"), visits.home(resources.config))
    return redirect(back, here.cookie(_cookie_name(here.base), value, f"; Max-Age={_YEAR}"))


def _cookie_name(base: str) -> str:
    return "__Host-kho-preferences" if base.startswith("https:") else "kho-preferences"


def _one_of(allowed: tuple[str, ...], text: str | None) -> str:
    return text if text in allowed else allowed[0]


def _accepted(request: Request) -> str:
    """The first language of Accept-Language that there is; weights are left to the order."""
    for part in (request.header(b"accept-language") or "")[:256].split(","):
        language = part.partition(";")[0].strip().partition("-")[0].lower()
        if language in LANGUAGES:
            return language
    return "en"
