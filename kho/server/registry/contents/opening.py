"""Manifests that are read to be shown; of an index, which platform.

4 MiB of bytes ─► in a thread ─► what is shown of them, counted, no more
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from kho.oci.digest import Digest
from kho.oci.errors import InvalidRequest, ManifestInvalid, ManifestUnknown
from kho.oci.manifest import Manifest, manifest_of
from kho.oci.platform import Platform, PlatformInvalid, best
from kho.oci.strict_json import JsonRefused, parse_object
from kho.server.database.contents.versions import ChildRow
from kho.server.database.manifests import ManifestRow
from kho.server.registry import manifests
from kho.server.registry.aside import aside
from kho.server.registry.contents.bounds import TEXT, cut, some
from kho.server.resources import Resources

USUAL: Final = Platform("linux", "amd64")
LISTED: Final = 500
NESTED: Final = 3


class Offer(msgspec.Struct, frozen=True):
    """A manifest that an index lists. `platform` is "" where it names none that runs.

    `present` is False where the repository does not hold it; None: nobody has looked.
    """

    digest: str
    media_type: str
    platform: str
    size: int
    present: bool | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A manifest that was read; sizes in bytes.

    `text` is the beginning of it, `entries` are the first LISTED of its layers or manifests.
    `manifest` lacks its annotations: some are in `annotations`, there are `annotations_in_all`.
    """

    digest: Digest
    media_type: str
    size: int
    text: str
    text_left_out: int
    manifest: Manifest
    entries: tuple[Mapping[str, Any], ...]
    entries_left_out: int
    annotations: dict[str, str]
    annotations_in_all: int


async def opened(resources: Resources, repository: str, reference: Digest | str) -> Opened:
    """Read and parse a manifest; raise ManifestUnknown, ManifestInvalid."""
    row = await manifests.find(resources, repository, reference)
    return await aside(resources, len(row.body), _read, row)


def _read(row: ManifestRow) -> Opened:
    try:
        fields = parse_object(row.body)
    except JsonRefused as error:
        raise ManifestInvalid(
            "the stored manifest cannot be read: %(error)s", error=error
        ) from error
    manifest = manifest_of(fields, row.media_type)
    entries = fields.get("manifests" if manifest.is_index else "layers")
    listed = entries if isinstance(entries, list) else []
    return Opened(
        Digest.parse(row.digest),
        row.media_type,
        len(row.body),
        *cut(row.body.decode(), TEXT),
        replace(manifest, annotations={}),
        tuple(listed[:LISTED]),
        max(0, len(listed) - LISTED),
        some(manifest.annotations),
        len(manifest.annotations),
    )


async def choose(
    resources: Resources, repository: str, top: Opened, platform: str | None
) -> tuple[Opened | None, str]:
    """The image of the platform, and the platform; None where the repository does not hold it.

    Unasked it is linux/amd64, else the first that the index lists.
    """
    try:
        wanted = None if platform is None else Platform.parse(platform)
    except PlatformInvalid as error:
        raise InvalidRequest(error.template, headers=(), **error.values) from error
    said = ""
    for _ in range(NESTED):
        if not top.manifest.is_index:
            return top, said
        offers = offers_of(top, [])
        position = _position(offers, wanted)
        if position is None:
            return None, said
        said = offers[position].platform or said
        try:
            top = await opened(resources, repository, Digest.parse(offers[position].digest))
        except ManifestUnknown:
            return None, said
    return (None if top.manifest.is_index else top), said


def _position(offers: tuple[Offer, ...], wanted: Platform | None) -> int | None:
    """Which one to show; raise ManifestUnknown when what was asked for is not among them."""
    named = [position for position, offer in enumerate(offers) if offer.platform]
    platforms = [Platform.parse(offers[position].platform) for position in named]
    found = best(wanted or USUAL, platforms)
    if found is not None:
        return named[found]
    if wanted is not None and named:
        raise ManifestUnknown(
            "the index has no image for this platform", detail={"platform": str(wanted)}
        )
    return named[0] if named else (0 if offers else None)


def offers_of(top: Opened, children: list[ChildRow]) -> tuple[Offer, ...]:
    """What an index lists, the first LISTED."""
    if not top.manifest.is_index:
        return ()
    here = {row.digest: row.media_type is not None for row in children}
    return tuple(_offer(entry, here) for entry in top.entries)


def _offer(entry: Mapping[str, Any], here: Mapping[str, bool]) -> Offer:
    fields = entry.get("platform")
    text = ""
    if isinstance(fields, dict):
        platform = Platform.of(fields)
        text = "" if "unknown" in (platform.os, platform.architecture) else str(platform)
        try:
            Platform.parse(text)
        except PlatformInvalid:
            text = ""
    digest, size = str(entry["digest"]), entry["size"]
    return Offer(
        digest,
        str(entry["mediaType"]),
        text,
        size if isinstance(size, int) else 0,
        here.get(digest),
    )
