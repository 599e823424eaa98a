"""What an artifact is, by its types; and its blobs as files."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from kho.oci import media_types
from kho.oci.manifest import Manifest
from kho.server.registry.contents.bounds import NAME, VALUE

Nature = Literal[
    "image",
    "index",
    "helm chart",
    "wasm",
    "sbom",
    "signature",
    "attestation",
    "files",
    "artifact",
]

NOTES: Final = 2000  # characters of one blob
TITLE: Final = "org.opencontainers.image.title"
_EMPTY: Final = "application/vnd.oci.empty.v1+json"
_UNKNOWN_CONFIG: Final = "application/vnd.unknown.config.v1+json"  # oras, before artifactType
# The first that one of its types begins with.
_BY_TYPE: Final[tuple[tuple[str, Nature], ...]] = (
    ("application/vnd.cncf.helm.", "helm chart"),
    ("application/vnd.wasm.", "wasm"),
    ("application/vnd.module.wasm.", "wasm"),
    ("application/wasm", "wasm"),
    ("application/spdx+", "sbom"),
    ("text/spdx", "sbom"),
    ("application/vnd.cyclonedx", "sbom"),
    ("application/vnd.syft+json", "sbom"),
    ("application/vnd.cncf.notary.signature", "signature"),
    ("application/vnd.dev.cosign.simplesigning.", "signature"),
    ("application/vnd.dev.cosign.artifact.sig.", "signature"),
    ("application/vnd.dev.sigstore.bundle", "signature"),
    ("application/vnd.in-toto", "attestation"),
    ("application/vnd.dsse.envelope", "attestation"),
)


class Blob(msgspec.Struct, frozen=True):
    """A blob of an artifact; `title` is the name of the file that it is, or "".

    `left_out` counts the characters of annotations that are not told here.
    """

    digest: str
    media_type: str
    size: int
    title: str
    annotations: dict[str, str]
    left_out: int


def nature_of(manifest: Manifest) -> Nature:
    """What the manifest is, in a word."""
    if manifest.is_index:
        return "index"
    layers = [item.media_type for item in manifest.references if item.kind == "layer"]
    types = [manifest.artifact_type or "", *layers]
    for start, nature in _BY_TYPE:
        # An image may carry a layer of another kind; what all is that, is that.
        if types[0].startswith(start) or (layers and all(one.startswith(start) for one in layers)):
            return nature
    if manifest.artifact_type in media_types.IMAGE_CONFIGS:
        return "image"
    return "files" if types[0] in ("", _EMPTY, _UNKNOWN_CONFIG) else "artifact"


def has_config(media_type: str) -> bool:
    """Whether a config of this type says anything."""
    return media_type != _EMPTY


def blobs_of(entries: Sequence[Mapping[str, object]]) -> tuple[Blob, ...]:
    """The blobs that a manifest lists."""
    return tuple(map(_blob, entries))


def _blob(entry: Mapping[str, object]) -> Blob:
    notes = entry.get("annotations")
    annotations, left_out = _annotations(notes) if isinstance(notes, dict) else ({}, 0)
    size = entry.get("size")
    return Blob(
        digest=str(entry.get("digest", "")),
        media_type=str(entry.get("mediaType", "")),
        size=size if isinstance(size, int) else 0,
        title=annotations.get(TITLE, ""),
        annotations=annotations,
        left_out=left_out,
    )


def _annotations(notes: Mapping[str, object]) -> tuple[dict[str, str], int]:
    """Some of them, the title first, and how many characters are left out."""
    texts = {key: value for key, value in notes.items() if isinstance(value, str)}
    order = sorted(texts, key=lambda key: key != TITLE)
    told, room = {}, NOTES
    for key in order:
        value = texts[key]
        if len(key) <= NAME and room > len(key):
            told[key] = value[: min(VALUE, room - len(key))]
            room -= len(key) + len(told[key])
    whole = sum(len(key) + len(value) for key, value in texts.items())
    return told, whole - sum(len(key) + len(value) for key, value in told.items())
