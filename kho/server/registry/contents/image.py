"""One image, index or artifact, with all that people ask of it.

    tag or digest ─► manifest ─┬─ index: the platform that was chosen ─► its manifest ─┐
                               └───────────────────────────────────────────────────────┤
      config, history beside layers, who shares these, referrers ◄─────────────────────┘

Bytes that are missing or damaged make a state that is shown, not an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from kho.oci.digest import Digest
from kho.oci.errors import InvalidRequest, ManifestInvalid, ManifestUnknown, NameUnknown
from kho.oci.manifest import Manifest, parse_manifest
from kho.oci.platform import Platform, PlatformInvalid, best
from kho.oci.strict_json import JsonRefused, parse_object
from kho.server.database import repositories
from kho.server.database.contents import tags as tag_rows
from kho.server.database.contents import versions as rows
from kho.server.database.contents.versions import ChildRow, VersionRow
from kho.server.database.engine import Transaction
from kho.server.database.manifests import ManifestRow
from kho.server.policy.access import Principal
from kho.server.policy.sight import Sight, sight_of
from kho.server.registry import manifests
from kho.server.registry.contents import attached, config, shared, steps
from kho.server.registry.contents.artifacts import Blob, Nature, blobs_of, has_config, nature_of
from kho.server.registry.contents.attached import Tree
from kho.server.registry.contents.config import Config, Label, State
from kho.server.registry.contents.steps import Sharing, Step
from kho.server.resources import Resources

USUAL: Final = Platform("linux", "amd64")
LAYERS: Final = 500
COUNTED: Final = 128  # layers of which is told who else has them
PLATFORMS: Final = 500
TAGS: Final = 50
NESTED: Final = 3
_TEXT: Final = 64 * 1024


class Offer(msgspec.Struct, frozen=True):
    """A manifest that an index lists. `platform` is "" where it names none that runs.

    `present` is False where the repository does not hold it; None: nobody has looked.
    """

    digest: str
    media_type: str
    platform: str
    size: int
    present: bool | None


class Detail(msgspec.Struct, frozen=True):
    """One manifest that is no index; sizes in bytes.

    `manifest` is its text as it was pushed. `size` is all that a pull gets. `config` is None where
    there is none, or `config_state` says why. `config_text` is the config of what is no image.
    `steps` are of images, `blobs` of other artifacts; of both no more than LAYERS are listed.
    """

    digest: str
    media_type: str
    artifact_type: str | None
    nature: Nature
    manifest: str
    size: int
    layers: int
    annotations: tuple[Label, ...]
    subject: str | None
    config_digest: str
    config_type: str
    config_size: int
    config_state: State
    config: Config | None
    config_text: str
    steps: tuple[Step, ...]
    blobs: tuple[Blob, ...]
    referrers: Tree


class Image(msgspec.Struct, frozen=True):
    """What a tag or digest names; times in milliseconds.

    `detail` is the manifest itself or, of an index, that of `platform`; None where it is not here.
    `manifest`, `annotations` and `offers` are those of an index, else empty.
    """

    repository: str
    digest: str
    media_type: str
    artifact_type: str | None
    nature: Nature
    pushed_at: int
    pushed_by: str
    pulled_at: int | None
    pulls: int
    tags: tuple[str, ...]
    more_tags: bool
    signature: Literal["present", "none"]
    manifest: str
    annotations: tuple[Label, ...]
    offers: tuple[Offer, ...]
    platform: str
    detail: Detail | None
    referrers: Tree


@dataclass(frozen=True, slots=True)
class Opened:
    """A manifest that was read."""

    digest: Digest
    row: ManifestRow
    manifest: Manifest
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Around:
    """What the rows say of a manifest."""

    version: VersionRow | None
    tags: list[str]
    referrers: Tree
    children: list[ChildRow]


async def find(
    resources: Resources,
    principal: Principal,
    repository: str,
    reference: Digest | str,
    *,
    platform: str | None = None,
    reveal: bool = False,
    sharing: bool = True,
) -> Image:
    """Everything about one image; `reveal` shows what looks secret.

    Without `sharing` nobody looks who else has the layers.

    Raises ManifestUnknown, also for a platform that the index does not list, and InvalidRequest
    for what is no platform.
    """
    top = await opened(resources, repository, reference)
    around = await resources.database.read(_around, repository, str(top.digest))
    chosen, said = await choose(resources, repository, top, platform)
    detail = None
    if chosen is not None:
        detail = await _detail(
            resources, principal, repository, chosen, reveal=reveal, sharing=sharing
        )
    index = top.manifest.is_index
    version = around.version
    return Image(
        repository=repository,
        digest=str(top.digest),
        media_type=top.row.media_type,
        artifact_type=top.manifest.artifact_type,
        nature=nature_of(top.manifest),
        pushed_at=version.created_at if version else 0,
        pushed_by=(version.pushed_by or "") if version else "",
        pulled_at=(version.pulled_at or None) if version else None,
        pulls=(version.pulls or 0) if version else 0,
        tags=tuple(around.tags[:TAGS]),
        more_tags=len(around.tags) > TAGS,
        signature="present" if version and version.signed else "none",
        manifest=top.row.body.decode() if index else "",
        annotations=config.labels(top.manifest.annotations, reveal=reveal) if index else (),
        offers=offers_of(top, around.children),
        platform=said or (detail.config.platform if detail and detail.config else ""),
        detail=detail,
        referrers=around.referrers,
    )


async def layers_of(
    resources: Resources, repository: str, reference: Digest | str, platform: str | None
) -> list[Digest]:
    """The layers of an image, the lowest first, and nothing else of it.

    Raises ManifestUnknown, also where no image of this platform is here, and InvalidRequest.
    """
    top = await opened(resources, repository, reference)
    chosen, _ = await choose(resources, repository, top, platform)
    if chosen is None or nature_of(chosen.manifest) != "image":
        raise ManifestUnknown("no image of this platform is here, so it has no files to show")
    found = [one.digest for one in chosen.manifest.references if one.kind == "layer"]
    return found[:LAYERS]


async def opened(resources: Resources, repository: str, reference: Digest | str) -> Opened:
    """Read and parse a manifest; raise ManifestUnknown, ManifestInvalid."""
    row = await manifests.find(resources, repository, reference)
    try:
        fields = parse_object(row.body)
    except JsonRefused as error:
        raise ManifestInvalid(f"the stored manifest cannot be read: {error}") from error
    return Opened(Digest.parse(row.digest), row, parse_manifest(row.body, row.media_type), fields)


async def choose(
    resources: Resources, repository: str, top: Opened, platform: str | None
) -> tuple[Opened | None, str]:
    """The image of the platform, and the platform; None where the repository does not hold it.

    Unasked it is linux/amd64, else the first that the index lists.
    """
    try:
        wanted = None if platform is None else Platform.parse(platform)
    except PlatformInvalid as error:
        raise InvalidRequest(str(error)) from error
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
    """What an index lists, the first PLATFORMS."""
    listed = top.fields.get("manifests")
    if not top.manifest.is_index or not isinstance(listed, list):
        return ()
    here = {row.digest: row.media_type is not None for row in children}
    return tuple(_offer(entry, here) for entry in listed[:PLATFORMS])


def _offer(entry: Mapping[str, object], here: Mapping[str, bool]) -> Offer:
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


async def _around(tx: Transaction, repository: str, digest: str) -> _Around:
    repository_id = await repository_number(tx, repository)
    version = await rows.one(tx, repository_id, digest)
    names = await tag_rows.names_of(tx, repository_id, digest, TAGS + 1)
    children = await rows.children(tx, repository_id, [version.id]) if version else []
    return _Around(version, sorted(names), await attached.tree(tx, repository_id, digest), children)


async def repository_number(tx: Transaction, repository: str) -> int:
    """The id of a repository; raise NameUnknown."""
    found = await repositories.find(tx, repository)
    if found is None:
        raise NameUnknown("repository unknown to this registry", detail={"name": repository})
    return found


async def _detail(
    resources: Resources,
    principal: Principal,
    repository: str,
    one: Opened,
    *,
    reveal: bool,
    sharing: bool,
) -> Detail:
    first, *layers = one.manifest.references
    nature = nature_of(one.manifest)
    read = config.Read("none", {}, "")
    if has_config(first.media_type):
        read = await config.read(resources, repository, first.digest)
    is_image = nature == "image"
    counted = layers[:COUNTED] if sharing else ()
    digests = list(dict.fromkeys(str(layer.digest) for layer in counted))
    sharings, referrers = await resources.database.read(
        _below, sight_of(principal), repository, str(one.digest), digests
    )
    sizes = {item.digest: item.size for item in one.manifest.references}
    subject = one.manifest.subject
    secrets = None if reveal else config.secret_values(read.fields)
    history = steps.lines(read.fields.get("history"))
    return Detail(
        digest=str(one.digest),
        media_type=one.row.media_type,
        artifact_type=one.manifest.artifact_type,
        nature=nature,
        manifest=one.row.body.decode(),
        size=len(one.row.body) + sum(sizes.values()),
        layers=len(layers),
        annotations=config.labels(one.manifest.annotations, reveal=reveal),
        subject=None if subject is None else str(subject),
        config_digest=str(first.digest),
        config_type=first.media_type,
        config_size=first.size,
        config_state=read.state,
        config=config.shown(read.fields, reveal=reveal) if is_image and read.fields else None,
        config_text="" if is_image or len(read.text) > _TEXT else read.text,
        steps=tuple(steps.join(history, layers[:LAYERS], sharings, secrets)) if is_image else (),
        blobs=() if is_image else blobs_of(one.fields.get("layers")),
        referrers=referrers,
    )


async def _below(
    tx: Transaction, sight: Sight, repository: str, digest: str, layers: list[str]
) -> tuple[dict[str, Sharing], Tree]:
    repository_id = await repository_number(tx, repository)
    version = await rows.one(tx, repository_id, digest)
    own = repository_id, None if version is None else version.id
    sharings = await shared.sharings(tx, sight, layers, own) if layers else {}
    return sharings, await attached.tree(tx, repository_id, digest)
