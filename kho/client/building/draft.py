"""An image as it is being changed: its manifest and its config, with all their fields."""

from dataclasses import dataclass
from typing import Any, Final

from kho.client.building.built import Built
from kho.client.building.layer_file import LayerFile, layer_type
from kho.client.errors import Damaged
from kho.client.images.image import Image
from kho.client.written import written
from kho.oci import media_types
from kho.oci.platform import Platform
from kho.oci.strict_json import JsonRefused, parse_object
from kho.remote.manifests import Manifest

EPOCH: Final = "1970-01-01T00:00:00Z"


@dataclass
class Draft:
    """Fields that are unknown here stay as they are; `media_type` is the manifest's."""

    media_type: str
    manifest: dict[str, Any]
    config: dict[str, Any]

    @classmethod
    def of(cls, image: Image) -> "Draft":
        """What an image is."""
        return cls(
            image.manifest.media_type, _copy(image.manifest.content), _deep(image.config.value)
        )

    @classmethod
    def empty(cls, platform: Platform, created: str = EPOCH) -> "Draft":
        """An image without layers, in OCI format."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": {"mediaType": media_types.OCI_CONFIG},
            "layers": [],
        }
        config = {
            "created": created,
            **platform.fields(),
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": []},
            "history": [],
        }
        return cls(media_types.OCI_MANIFEST, manifest, config)

    @property
    def runtime(self) -> dict[str, Any]:
        """How it is run: the `config` of the config."""
        found = self.config.get("config")
        if not isinstance(found, dict):
            found = self.config["config"] = {}
        return found

    @property
    def layers(self) -> list[dict[str, Any]]:
        """Descriptors, lowest first."""
        found: list[dict[str, Any]] = self.manifest["layers"]
        return found

    @property
    def diff_ids(self) -> list[str]:
        """One for each layer."""
        rootfs = self.config.get("rootfs")
        if not isinstance(rootfs, dict):  # only an image of no layers is without
            rootfs = self.config["rootfs"] = {"type": "layers"}
        found = rootfs.get("diff_ids")
        if not isinstance(found, list):
            found = rootfs["diff_ids"] = []
        return found

    def add_layer(self, layer: LayerFile, history: dict[str, Any]) -> None:
        """Put a layer on top; raise Misused where the format has none such."""
        descriptor = {
            "mediaType": layer_type(self.media_type, layer.compression),
            "digest": str(layer.digest),
            "size": layer.size,
        }
        # A history that tells of some layers alone would be told of the wrong ones.
        known = self.config.get("history") or []
        if _layers_of(known) == len(self.layers):
            self.config["history"] = [*known, history]
        self.layers.append(descriptor)
        self.diff_ids.append(str(layer.diff_id))

    def set_layers(
        self,
        layers: list[dict[str, Any]],
        diff_ids: list[str],
        history: list[dict[str, Any]] | None,
    ) -> None:
        """Have these layers in place of all others."""
        self.manifest["layers"] = layers
        self.diff_ids[:] = diff_ids
        if history is None:
            self.config.pop("history", None)
        else:
            self.config["history"] = history

    def annotate(self, annotations: dict[str, str | None]) -> None:
        """Set, or take away where None, annotations of the manifest."""
        changed(self.manifest, "annotations", annotations)

    def finish(self, built: Built) -> Manifest:
        """Write config and manifest."""
        stated = self.manifest["config"]
        content = built.add_small(written(self.config), stated["mediaType"])
        # What else stands there is kept, but not a copy of the content.
        self.manifest["config"] = {
            **{key: value for key, value in stated.items() if key != "data"},
            **content,
        }
        return built.add_manifest(self.manifest, self.media_type)


def changed(holder: dict[str, Any], key: str, changes: dict[str, str | None]) -> None:
    """Set or take away entries of an object of strings; without any left, it goes too."""
    if not changes:
        return
    found = holder.get(key)
    values = dict(found) if isinstance(found, dict) else {}
    for name, value in changes.items():
        if value is None:
            values.pop(name, None)
        else:
            values[name] = value
    if values:
        holder[key] = values
    else:
        holder.pop(key, None)


def splits(history: list[dict[str, Any]], layers: int) -> int | None:
    """How many entries tell of the first so many layers; None where it does not tell of them."""
    if layers == 0:
        return 0
    seen = 0
    for position, entry in enumerate(history):
        seen += not entry.get("empty_layer")
        if seen == layers:
            return position + 1
    return None


def _layers_of(history: list[dict[str, Any]]) -> int:
    return sum(not one.get("empty_layer") for one in history)


def _copy(content: bytes) -> dict[str, Any]:
    try:
        return parse_object(content)
    except JsonRefused as error:
        raise Damaged(f"a manifest that is none: {error}") from error


def _deep(value: dict[str, Any]) -> dict[str, Any]:
    return _copy(written(value))
