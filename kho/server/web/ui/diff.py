"""Two images of a repository side by side, at an address that can be passed on."""

from typing import Final
from urllib.parse import quote, quote_from_bytes, urlencode

from kho.oci.digest import Digest
from kho.oci.errors import RegistryError
from kho.oci.reference import parse_reference
from kho.server.index.files import changes, stack
from kho.server.index.files.stack import Stack, State
from kho.server.registry.contents import comparison
from kho.server.registry.contents.comparison import Comparison
from kho.server.registry.contents.image import opened
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import files, render, repository

ROWS: Final = 200
LONGEST: Final = 256


async def page(resources: Resources, request: Request) -> Response:
    """`a` is before, `b` after; also as two `tag`, as the list of tags asks."""
    a, b = _sides(request)
    platform = request.query("platform") or None
    found: Comparison | None = None
    wrong = ""
    if a and b:
        try:
            one, other = parse_reference(a), parse_reference(b)
            found = await comparison.compare(
                resources, request.values.name, one, other, platform=platform
            )
        except RegistryError as error:
            if error.status not in (400, 404):
                raise
            wrong = error.message
    listed = await _files(resources, request, found) if found else _NOTHING
    given = {"a": a, "b": b, **({"platform": platform} if platform else {})}
    following = listed[0].next
    return await render.page(
        resources,
        request,
        "diff.html",
        status=404 if wrong else 200,
        shared=repository.frame(request, "tags"),
        a=a,
        b=b,
        platform=platform or "",
        comparison=found,
        differences=listed[0].items,
        waiting=listed[1],
        turned=f"?{urlencode({**given, 'a': b, 'b': a})}",
        following=f"?{urlencode(given)}&behind={quote_from_bytes(following)}" if following else "",
        first=f"?{urlencode(given)}" if request.query("behind") else "",
        addresses=[_address(request, one) for one in (a, b)],
        wrong=wrong,
    )


_NOTHING: Final = (changes.Differences((), None), 0)


def _sides(request: Request) -> tuple[str, str]:
    tags = [*request.query_all("tag"), "", ""]
    a = (request.query("a") or tags[0]).strip()[:LONGEST]
    b = (request.query("b") or tags[1]).strip()[:LONGEST]
    return a, b


def _address(request: Request, reference: str) -> str:
    mark = "@" if ":" in reference else ":"
    return f"{repository.address_of(request)}{mark}{quote(reference, safe=':')}"


async def _files(
    resources: Resources, request: Request, found: Comparison
) -> tuple[changes.Differences, int]:
    """What differs, and how many layers are still to be listed."""
    if not found.a.image or not found.b.image:
        return _NOTHING
    name = request.values.name
    one = await _stack(resources, name, found.a.image)
    other = await _stack(resources, name, found.b.image)
    waiting = 0
    for layers in (one, other):
        await stack.ensure(resources, layers)
        waiting += sum(layer.state is not State.REFUSED for layer in layers.unlisted)
    behind = files.bytes_of(request, "behind")
    return await changes.diff(resources, one, other, behind=behind, limit=ROWS), waiting


async def _stack(resources: Resources, name: str, digest: str) -> Stack:
    read = await opened(resources, name, Digest.parse(digest))
    layers = [one.digest for one in read.manifest.references if one.kind == "layer"]
    return await stack.stack_of(resources, name, layers)
