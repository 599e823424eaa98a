"""What a manifest and its config say of an image: kind, platforms, sizes, labels, when built.

manifest ─► kind, layers, sizes, annotations ─┐
config   ─► platform, created, labels ────────┴─► labels: the manifest's before the config's
children ─► of an index: their platforms and sizes, the labels of the first
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from kho.oci import media_types
from kho.oci.manifest import Manifest
from kho.oci.platform import Platform
from kho.oci.strict_json import JsonRefused, parse_object
from kho.server.database.images import Child, ImageFacts

LABELS_BYTES: Final = 16 * 1024
_LABELS: Final = 2000  # of 8 bytes and more: no more than these could have room
_PREFIX: Final = "org.opencontainers.image."
_CREATED: Final = _PREFIX + "created"
_ATTESTATION: Final = "application/vnd.in-toto+json"
_PLATFORM: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}(?:/[A-Za-z0-9_.-]{1,32}){1,2}", re.ASCII)
_MOST_PLATFORMS: Final = 64
_UNKNOWN: Final = "unknown"
_PARTS: Final = 19  # of 2026-11-23T22:54:36, before fractions that Python may not read


def kind_of(manifest: Manifest) -> str:
    """`image`, `index` or `artifact`."""
    if manifest.is_index:
        return "index"
    if manifest.artifact_type not in media_types.IMAGE_CONFIGS:
        return "artifact"
    layers = [item.media_type for item in manifest.references if item.kind == "layer"]
    return "artifact" if layers and set(layers) == {_ATTESTATION} else "image"


def facts_of_image(manifest: Manifest, size: int, config: bytes | None) -> ImageFacts:
    """Of an image or an artifact of so many bytes; `config` is None where it was not read."""
    kind = kind_of(manifest)
    fields = _read(config) if config is not None and kind == "image" else {}
    own = fields.get("config")
    labels = own.get("Labels") if isinstance(own, dict) else None
    sizes = {item.digest: item.size for item in manifest.references}
    first = manifest.references[0]
    return ImageFacts(
        kind=kind,
        platforms=json.dumps(_platforms([fields])),
        config_digest=str(first.digest),
        layers=len(manifest.references) - 1,
        total_size=size + sum(sizes.values()),
        built_at=_moment(fields.get("created"), manifest.annotations.get(_CREATED)),
        labels=_bounded(labels if isinstance(labels, dict) else {}, manifest.annotations),
    )


def facts_of_index(manifest: Manifest, content: bytes, children: Mapping[str, Child]) -> ImageFacts:
    """Of an index; what it says of platforms itself is what clients choose by."""
    digests = dict.fromkeys(str(item.digest) for item in manifest.references)
    known = [children[digest] for digest in digests if digest in children]
    images = [child for child in known if child.kind == "image"]
    told = _platforms(_listed_platforms(content))
    inside = [platform for child in images for platform in json.loads(child.platforms)]
    labels = next((child.labels for child in images if child.labels), "{}")
    built = [child.built_at for child in images if child.built_at is not None]
    return ImageFacts(
        kind="index",
        platforms=json.dumps(told or list(dict.fromkeys(inside))[:_MOST_PLATFORMS]),
        config_digest=None,
        layers=0,
        total_size=len(content) + sum(child.total_size for child in known),
        built_at=_moment(manifest.annotations.get(_CREATED)) or max(built, default=None),
        labels=_bounded(json.loads(labels), manifest.annotations),
    )


def _read(config: bytes) -> dict[str, object]:
    try:
        return parse_object(config)
    except JsonRefused:
        return {}


def _listed_platforms(content: bytes) -> Iterable[Mapping[str, object]]:
    listed = parse_object(content).get("manifests")
    for item in listed if isinstance(listed, list) else ():
        platform = item.get("platform") if isinstance(item, dict) else None
        if isinstance(platform, dict):
            yield platform


def _platforms(all_fields: Iterable[Mapping[str, object]]) -> list[str]:
    """Each once; what is no platform, or says `unknown` as attestations do, is left out."""
    found: dict[str, None] = {}
    for fields in all_fields:
        one = Platform.of(fields)
        text = str(one)
        if _UNKNOWN not in (one.os, one.architecture) and _PLATFORM.fullmatch(text):
            found[text] = None
        if len(found) >= _MOST_PLATFORMS:
            break
    return list(found)


def _moment(*texts: object) -> int | None:
    """The first that is an RFC 3339 time, in milliseconds since the epoch."""
    for text in texts:
        if not isinstance(text, str):
            continue
        try:
            moment = datetime.fromisoformat(text[:_PARTS])
        except ValueError:
            continue
        milliseconds = int(moment.replace(tzinfo=UTC).timestamp() * 1000)
        if milliseconds > 0:  # before the epoch, or just there: a build that hides its time
            return milliseconds
    return None


def _bounded(labels: Mapping[object, object], annotations: Mapping[str, str]) -> str | None:
    """As JSON of at most 16 KiB, the well-known ones first; None when there is none."""
    merged = {
        _clean(key): _clean(value)
        for key, value in (*_some(labels).items(), *_some(annotations).items())
        if isinstance(key, str) and isinstance(value, str)
    }
    if not merged:
        return None
    text = json.dumps(merged)
    if len(text) <= LABELS_BYTES:
        return text
    room = LABELS_BYTES - len("{}")
    kept = {}
    for key in _by_weight(merged):
        cost = len(json.dumps({key: merged[key]}))
        if cost <= room:
            kept[key] = merged[key]
            room -= cost
    return json.dumps(kept) if kept else None


def _some(labels: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """As many as may have room; of 300,000 each would cost a push more than all the rest."""
    if len(labels) <= _LABELS:
        return labels
    known = (key for key in labels if isinstance(key, str) and key.startswith(_PREFIX))
    return {key: labels[key] for key in (*islice(known, _LABELS), *islice(labels, _LABELS))}


def _by_weight(labels: Mapping[str, str]) -> Sequence[str]:
    return sorted(labels, key=lambda key: not key.startswith(_PREFIX))


def _clean(text: str) -> str:
    """PostgreSQL takes no NUL, not even escaped where JSON is read."""
    return text.replace("\0", "")
