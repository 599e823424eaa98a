"""Files of the pages: read once, named by their content, kept by browsers for a year."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from kho.oci.errors import RouteUnknown
from kho.server.resources import Resources
from kho.server.web.request import Request, Response

_FOLDER: Final = Path(__file__).parent / "static"
PREFIX: Final = "/-/static/"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class _File(NamedTuple):
    mark: str
    media_type: str
    body: bytes


@cache
def _files() -> dict[str, _File]:
    found = {}
    for path in sorted(_FOLDER.iterdir()):
        body = path.read_bytes()
        mark = hashlib.sha256(body).hexdigest()[:12]
        found[path.name] = _File(mark, _TYPES[path.suffix], body)
    return found


def address(name: str) -> str:
    """The path of a file, which changes with its content."""
    return f"{PREFIX}{_files()[name].mark}/{name}"


async def get(_resources: Resources, request: Request) -> Response:
    """The file; an address of an earlier version brings the newest, not to be kept."""
    file = _files().get(request.values.parts["file"])
    if file is None:
        raise RouteUnknown("no such file")
    newest = request.values.parts["mark"] == file.mark
    return _answer(file, "public, max-age=31536000, immutable" if newest else "no-cache")


async def icon(_resources: Resources, _request: Request) -> Response:
    """What browsers ask for by themselves."""
    return _answer(_files()["kho.svg"], "public, max-age=86400")


async def robots(_resources: Resources, _request: Request) -> Response:
    """Crawlers have nothing to do here."""
    return _answer(
        _File("", "text/plain", b"User-agent: *\nDisallow: /\n"), "public, max-age=86400"
    )


def _answer(file: _File, caching: str) -> Response:
    return Response(
        200,
        [
            (b"content-type", file.media_type.encode("ascii")),
            (b"content-length", b"%d" % len(file.body)),
            (b"cache-control", caching.encode("ascii")),
            (b"x-content-type-options", b"nosniff"),
            (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
        ],
        file.body,
    )
