"""One image, index or artifact, with all that people ask of it.

    tag or digest ─► manifest ─┬─ index: the platform that was chosen ─► its manifest ─┐
                               └───────────────────────────────────────────────────────┤
      config, history beside layers, who shares these, referrers ◄─────────────────────┘

Bytes that are missing or damaged make a state that is shown, not an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import msgspec

from kho.oci.digest import Digest
from kho.oci.errors import ManifestUnknown, NameUnknown
from kho.oci.manifest import Descriptor
from kho.server.database import repositories
from kho.server.database.contents import tags as tag_rows
from kho.server.database.contents import versions as rows
from kho.server.database.contents.versions import ChildRow, VersionRow
from kho.server.database.engine import Transaction
from kho.server.policy.access import Principal
from kho.server.policy.sight import Sight, sight_of
from kho.server.registry.aside import aside
from kho.server.registry.contents import attached, config, shared, steps
from kho.server.registry.contents.artifacts import Blob, Nature, blobs_of, has_config, nature_of
from kho.server.registry.contents.attached import Tree
from kho.server.registry.contents.bounds import TEXT, cut
from kho.server.registry.contents.config import Config, Label, Read, State
from kho.server.registry.contents.opening import Offer, Opened, choose, offers_of, opened
from kho.server.registry.contents.steps import Sharing, Step
from kho.server.resources import Resources

LAYERS: Final = 500
COUNTED: Final = 128  # layers of which is told who else has them
TAGS: Final = 50


class Detail(msgspec.Struct, frozen=True):
    """One manifest that is no index; sizes in bytes.

    `manifest` is its text as it was pushed. `size` is all that a pull gets. `config` is None where
    there is none, or `config_state` says why. `config_text` is the config of what is no image.
    `steps` are of images, `blobs` of other artifacts.

    Of all of them no more is told than anybody looks at. `left_out` counts, by the name of the
    field, the characters and entries that are not told here; the whole is at
    `/v2/{repository}/manifests/{digest}` and `/v2/{repository}/blobs/{config_digest}`.
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
    left_out: dict[str, int]


class Image(msgspec.Struct, frozen=True):
    """What a tag or digest names; times in milliseconds.

    `detail` is the manifest itself or, of an index, that of `platform`; None where it is not here.
    `manifest`, `annotations` and `offers` are those of an index, else empty, and `left_out` counts,
    by the name of the field, the characters and entries of them that are not told here.
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
    left_out: dict[str, int]


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
    left_out = _left_out(top, offers=top.entries_left_out) if index else {}
    return Image(
        repository=repository,
        digest=str(top.digest),
        media_type=top.media_type,
        artifact_type=top.manifest.artifact_type,
        nature=nature_of(top.manifest),
        pushed_at=version.created_at if version else 0,
        pushed_by=(version.pushed_by or "") if version else "",
        pulled_at=(version.pulled_at or None) if version else None,
        pulls=(version.pulls or 0) if version else 0,
        tags=tuple(around.tags[:TAGS]),
        more_tags=len(around.tags) > TAGS,
        signature="present" if version and version.signed else "none",
        manifest=top.text if index else "",
        annotations=await _annotations(resources, top, reveal=reveal) if index else (),
        offers=offers_of(top, around.children),
        platform=said or (detail.config.platform if detail and detail.config else ""),
        detail=detail,
        referrers=around.referrers,
        left_out=left_out,
    )


async def _annotations(resources: Resources, one: Opened, *, reveal: bool) -> tuple[Label, ...]:
    weight = sum(map(len, one.annotations.values()))
    return await aside(resources, weight, config.labels, one.annotations, reveal)


def _left_out(one: Opened, **more: int) -> dict[str, int]:
    """What is not told of a manifest, by field."""
    counts = {
        "manifest": one.text_left_out,
        "annotations": one.annotations_in_all - len(one.annotations),
        **more,
    }
    return {field: count for field, count in counts.items() if count}


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


async def config_of(
    resources: Resources, repository: str, reference: Digest | str, platform: str | None
) -> Digest:
    """The config of an image or another artifact; raise ManifestUnknown, InvalidRequest."""
    top = await opened(resources, repository, reference)
    chosen, _ = await choose(resources, repository, top, platform)
    if chosen is None:
        raise ManifestUnknown("no image of this platform is here")
    return chosen.manifest.references[0].digest


class _Told(NamedTuple):
    """What a config says; `left_out` counts lines of its history."""

    config: Config | None
    steps: tuple[Step, ...]
    left_out: int


def _told(
    read: Read,
    layers: tuple[Descriptor, ...],
    sharings: Mapping[str, Sharing],
    reveal: bool,
) -> _Told:
    secrets = None if reveal else config.secret_values(read.fields)
    history = read.fields.get("history")
    return _Told(
        config.shown(read.fields, reveal=reveal) if read.fields else None,
        tuple(steps.join(steps.lines(history), layers, sharings, secrets)),
        max(0, len(history) - steps.MOST) if isinstance(history, list) else 0,
    )


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
    counted = layers[:COUNTED] if sharing else ()
    digests = list(dict.fromkeys(str(layer.digest) for layer in counted))
    sharings, referrers = await resources.database.read(
        _below, sight_of(principal), repository, str(one.digest), digests
    )
    sizes = {item.digest: item.size for item in one.manifest.references}
    subject = one.manifest.subject
    told, is_image = _Told(None, (), 0), nature == "image"
    if is_image:
        shown = tuple(layers[:LAYERS])
        told = await aside(resources, len(read.text), _told, read, shown, sharings, reveal)
    text, text_left_out = ("", 0) if is_image else cut(read.text, TEXT)
    unlisted = max(0, len(layers) - LAYERS)
    return Detail(
        digest=str(one.digest),
        media_type=one.media_type,
        artifact_type=one.manifest.artifact_type,
        nature=nature,
        manifest=one.text,
        size=one.size + sum(sizes.values()),
        layers=len(layers),
        annotations=await _annotations(resources, one, reveal=reveal),
        subject=None if subject is None else str(subject),
        config_digest=str(first.digest),
        config_type=first.media_type,
        config_size=first.size,
        config_state=read.state,
        config=told.config,
        config_text=text,
        steps=told.steps,
        blobs=() if is_image else blobs_of(one.entries),
        referrers=referrers,
        left_out=_left_out(
            one,
            config_text=text_left_out,
            steps=told.left_out + unlisted if is_image else 0,
            blobs=0 if is_image else unlisted,
        ),
    )


async def _below(
    tx: Transaction, sight: Sight, repository: str, digest: str, layers: list[str]
) -> tuple[dict[str, Sharing], Tree]:
    repository_id = await repository_number(tx, repository)
    version = await rows.one(tx, repository_id, digest)
    own = repository_id, None if version is None else version.id
    sharings = await shared.sharings(tx, sight, layers, own) if layers else {}
    return sharings, await attached.tree(tx, repository_id, digest)
