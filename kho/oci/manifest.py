"""Image manifests and indexes: read, validated, their raw bytes kept (image-spec)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from kho.oci import media_types
from kho.oci.digest import Digest
from kho.oci.errors import DigestInvalid, ManifestInvalid
from kho.oci.strict_json import JsonRefused, check_key_case, parse_object

Kind = Literal["config", "layer", "manifest"]

# A manifest of 4 MiB holds some 40,000 descriptors; each costs work in the transaction.
REFERENCES: Final = 20_000
TYPE_LENGTH: Final = 255
_KEYS: Final = frozenset(
    {
        "annotations",
        "artifactType",
        "config",
        "fsLayers",
        "layers",
        "manifests",
        "mediaType",
        "schemaVersion",
        "subject",
    }
)
_DESCRIPTOR_KEYS: Final = frozenset(
    {"annotations", "artifactType", "data", "digest", "mediaType", "platform", "size", "urls"}
)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of something else."""

    kind: Kind
    media_type: str
    digest: Digest
    size: int

    @property
    def required(self) -> bool:
        """Whether the registry must hold the bytes."""
        return media_types.is_distributable(self.media_type)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or index that passed all checks."""

    media_type: str
    artifact_type: str | None
    references: tuple[Descriptor, ...]
    subject: Digest | None
    annotations: dict[str, str]

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests rather than layers."""
        return self.media_type in media_types.INDEXES


def parse_manifest(content: bytes, content_type: str | None) -> Manifest:
    """Read and check a manifest; raise ManifestInvalid with the reason.

    Unknown fields and media types inside are taken: the bytes are stored as sent.
    """
    try:
        value = parse_object(content)
    except JsonRefused as error:
        raise ManifestInvalid("manifest refused: %(error)s", error=error) from error
    return manifest_of(value, content_type)


def manifest_of(value: dict[str, object], content_type: str | None) -> Manifest:
    """Check a manifest that `parse_object` has read; raise ManifestInvalid with the reason."""
    try:
        check_key_case(value, _KEYS, "manifest")
        media_type = _media_type(value, content_type)
        _check_shape(value, media_type)
        references = tuple(_references(value, media_type))
        if len(references) > REFERENCES:
            raise JsonRefused(f"more than {REFERENCES} references")
        subject = _subject(value)
        annotations = _annotations(value)
        artifact_type = _artifact_type(value, media_type)
    except (JsonRefused, DigestInvalid) as error:
        raise ManifestInvalid("manifest refused: %(error)s", error=error) from error
    return Manifest(media_type, artifact_type, references, subject, annotations)


def _media_type(value: dict[str, object], content_type: str | None) -> str:
    """The body's `mediaType` and the Content-Type must agree; either may stand alone."""
    announced = media_types.without_parameters(content_type or "")
    stated = value.get("mediaType")
    if stated is not None and not isinstance(stated, str):
        raise JsonRefused("mediaType is not a string")
    if announced in media_types.SCHEMA_1 or value.get("schemaVersion") == 1:
        raise JsonRefused(
            "Docker schema 1 is not supported: push the image again with a current client"
        )
    if announced in media_types.MANIFESTS:
        if stated is not None and stated != announced:
            raise JsonRefused(f"mediaType {stated[:128]!a} differs from Content-Type {announced!a}")
        return announced
    if announced not in ("", "application/json", media_types.OCTET_STREAM) and stated != announced:
        allowed = ", ".join(sorted(media_types.MANIFESTS))
        raise JsonRefused(f"Content-Type {announced[:128]!a} is not one of {allowed}")
    if stated is not None:
        if stated not in media_types.MANIFESTS:
            allowed = ", ".join(sorted(media_types.MANIFESTS))
            raise JsonRefused(f"mediaType {stated[:128]!a} is not one of {allowed}")
        return stated
    if "manifests" in value:
        return media_types.OCI_INDEX
    if "config" in value and "layers" in value:
        return media_types.OCI_MANIFEST
    raise JsonRefused("neither Content-Type nor mediaType nor its fields tell what this is")


def _check_shape(value: dict[str, object], media_type: str) -> None:
    """An image has config and layers, an index has manifests, never both (CVE-2021-41190)."""
    if value.get("schemaVersion") != 2 or isinstance(value["schemaVersion"], float):  # noqa: PLR2004
        raise JsonRefused("schemaVersion must be 2")
    is_index = media_type in media_types.INDEXES
    wanted = ("manifests",) if is_index else ("config", "layers")
    foreign = ("config", "layers", "fsLayers") if is_index else ("manifests", "fsLayers")
    for key in wanted:
        if key not in value:
            raise JsonRefused(f"{key} is missing")
    for key in foreign:
        if key in value:
            raise JsonRefused(f"{key} has no place in {media_type}")


def _references(value: dict[str, object], media_type: str) -> Iterator[Descriptor]:
    if media_type in media_types.INDEXES:
        yield from _descriptors(value["manifests"], "manifests", "manifest")
        return
    yield _descriptor(value["config"], "config", "config")
    yield from _descriptors(value["layers"], "layers", "layer")


def _descriptors(value: object, where: str, kind: Kind) -> Iterator[Descriptor]:
    if not isinstance(value, list):
        raise JsonRefused(f"{where} is not a list")
    for position, item in enumerate(value):
        yield _descriptor(item, f"{where}[{position}]", kind)


def _descriptor(value: object, where: str, kind: Kind) -> Descriptor:
    if not isinstance(value, dict):
        raise JsonRefused(f"{where} is not a descriptor")
    check_key_case(value, _DESCRIPTOR_KEYS, where)
    media_type, digest, size = (value.get(key) for key in ("mediaType", "digest", "size"))
    if not isinstance(media_type, str) or not media_type:
        raise JsonRefused(f"{where}.mediaType is missing")
    _check_type(media_type, f"{where}.mediaType")
    if not isinstance(digest, str):
        raise JsonRefused(f"{where}.digest is missing")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise JsonRefused(f"{where}.size is not a byte count")
    return Descriptor(kind, media_type, Digest.parse(digest), size)


def _check_type(text: str, where: str) -> None:
    """Any type is taken, but it must fit into headers, logs and columns (RFC 6838)."""
    if len(text) > TYPE_LENGTH or not text.isascii() or not text.isprintable():
        raise JsonRefused(f"{where} is not printable ASCII of at most {TYPE_LENGTH} characters")


def _subject(value: dict[str, object]) -> Digest | None:
    if value.get("subject") is None:
        return None
    return _descriptor(value["subject"], "subject", "manifest").digest


def _annotations(value: dict[str, object]) -> dict[str, str]:
    annotations = value.get("annotations")
    if annotations is None:
        return {}
    if not isinstance(annotations, dict):
        raise JsonRefused("annotations is not an object of strings")
    out: dict[str, str] = {}
    for key, text in annotations.items():
        if not isinstance(text, str):
            raise JsonRefused("annotations is not an object of strings")
        out[key] = text
    return out


def _artifact_type(value: dict[str, object], media_type: str) -> str | None:
    """What referrers list: artifactType, else an image's config media type, else nothing."""
    stated = value.get("artifactType")
    if stated is not None and not isinstance(stated, str):
        raise JsonRefused("artifactType is not a string")
    if stated:
        _check_type(stated, "artifactType")
        return stated
    config = value.get("config")
    if media_type in media_types.IMAGES and isinstance(config, dict):
        return str(config["mediaType"])
    return None
