"""Deleting tags and versions: first what would go with them, then the deed.

GET  ?tag=..&tag=..&digest=..    what is asked for, what hangs on it, how many bytes
POST targets=TAG@DIGEST ...      each tag goes only while it points where the page said
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import InvalidRequest, ManifestUnknown
from kho.oci.reference import parse_tag
from kho.server.registry import deletion, manifests
from kho.server.registry.deletion import Doomed
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.ui import forms, render
from kho.server.web.ui.repositories import repository

MOST: Final = 100
_BYTES: Final = 64 * 1024


class Target(NamedTuple):
    """A tag and where it points, or a digest alone."""

    tag: str
    digest: str

    @property
    def text(self) -> str:
        """As the form has it."""
        return f"{self.tag}@{self.digest}"


async def ask(resources: Resources, request: Request) -> Response:
    """The page before. Raises NameUnknown, InvalidRequest, DigestInvalid or TagInvalid."""
    name = request.values.name
    tags = [parse_tag(one) for one in dict.fromkeys(request.query_all("tag"))]
    digests = [parse_digest(one) for one in dict.fromkeys(request.query_all("digest"))]
    if len(tags) + len(digests) > MOST:
        raise InvalidRequest("at most %(most)s at a time", most=MOST)
    shared = repository.frame(request, "tags" if tags or not digests else "versions")
    if not tags and not digests:
        return await render.page(
            *(resources, request, "deletion.html"), shared=shared, targets=[], impact=None
        )
    impact = await deletion.impact(
        resources, name, tags, digests, principal=request.caller.principal
    )
    targets = [await _pointing(resources, name, tag) for tag in tags if tag not in impact.unknown]
    targets += [Target("", str(one)) for one in digests if str(one) not in impact.unknown]
    return await render.page(
        *(resources, request, "deletion.html"),
        shared=shared,
        targets=targets,
        impact=impact,
    )


async def _pointing(resources: Resources, name: str, tag: str) -> Target:
    """A tag whose manifest is damaged can be deleted, too."""
    try:
        row = await manifests.find(resources, name, tag)
    except ManifestUnknown:
        return Target(tag, "")
    return Target(tag, str(row.digest))


async def delete(resources: Resources, request: Request) -> Response:
    """The deed; what moved meanwhile stays, and is told."""
    posted = await forms.posted(resources, request, _BYTES)
    name = request.values.name
    tags, digests = _targets(posted.fields.get("targets", "").split())
    outcomes = await deletion.delete(resources, name, tags, digests, request.caller)
    shared = repository.frame(request, "tags" if tags else "versions")
    if all(one.result == "deleted" for one in outcomes):
        where = "tags" if tags else "versions"
        return forms.done(f"{shared['address']}/-/{where}", "deleted")
    # What is left is told here: the address of another page has no room for it.
    return await render.page(
        *(resources, request, "deleted.html"),
        status=409,
        known=posted.here,
        shared=shared,
        outcomes=outcomes,
    )


def _targets(texts: Sequence[str]) -> tuple[list[Doomed], list[Digest]]:
    """What the form asks for. Raises InvalidRequest, DigestInvalid or TagInvalid."""
    if not 1 <= len(texts) <= MOST:
        raise InvalidRequest("1 to %(most)s at a time", most=MOST)
    tags, digests = [], []
    for text in texts:
        tag, _, digest = text.partition("@")
        known = parse_digest(digest) if digest else None
        if tag:
            tags.append(Doomed(parse_tag(tag), None if known is None else str(known)))
        elif known is not None:
            digests.append(known)
    return tags, digests
