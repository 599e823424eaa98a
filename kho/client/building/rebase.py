"""An image on a newer base: its own layers stay, those of the base are the new one's.

image   [ old base | own ]          config: what the image had from its old base and did not
result  [ new base | own ]                  change, it gets from the new one
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from kho.client.building.append import BASE_DIGEST, BASE_NAME
from kho.client.building.built import Built
from kho.client.building.draft import Draft, splits
from kho.client.building.layer_file import layer_type
from kho.client.building.rewrite import Rewriter
from kho.client.errors import Misused
from kho.client.images.image import Image, open_image
from kho.client.progress import SILENT, Progress
from kho.client.stores.store import Source
from kho.layers.compression import Compression
from kho.oci import media_types
from kho.oci.errors import RegistryError
from kho.oci.manifest import parse_manifest
from kho.oci.platform import Platform
from kho.oci.strict_json import parse_object
from kho.remote.manifests import Manifest

_RUNTIME: Final = "config"


@dataclass(frozen=True, slots=True)
class Base:
    """An image that others are made on; `name` as it is written, `target` as it is asked for."""

    source: Source
    target: str
    name: str


# Opens a base by its name, for what an image says that it was made on.
Named = Callable[[str], Awaitable[Base]]


@dataclass
class Rebase:
    """From which base to which; None is what the image says itself, by its annotations."""

    old: Base | None
    new: Base | None
    named: Named
    told: Progress = SILENT

    async def run(
        self, source: Source, target: str, platform: Platform | None = None
    ) -> tuple[Built, Manifest]:
        """Rebase an image, or all images of an index.

        Raises Misused for an image that is not made on the old base, or says nothing of one.
        """
        built = Built(source)

        async def edit(image: Image, draft: Draft) -> None:
            await self._edit(image, draft, built)

        built_from = Rewriter(source, built, edit, told=self.told)
        return built, await built_from.run(target, platform)

    async def _edit(self, image: Image, draft: Draft, built: Built) -> None:
        old_base, new_base = await self._bases(image)
        wanted = image.config.platform
        old = await open_image(old_base.source, old_base.target, wanted)
        new = await open_image(new_base.source, new_base.target, wanted)
        count = len(old.config.diff_ids)
        if image.config.diff_ids[:count] != old.config.diff_ids:
            same = _common(image, old)
            raise Misused(
                f"{image.name} is not made on {old_base.name} ({old.manifest.digest}): of its"
                f" {count} layers the first {same} are the image's"
            )
        if new.config.platform != wanted:
            raise Misused(f"{new_base.name} is for {new.config.platform}, the image for {wanted}")
        self.told.note(f"{wanted}: from {old.manifest.digest} to {new.manifest.digest}")
        draft.set_layers(
            [*_layers(new, draft.media_type), *draft.layers[count:]],
            [*map(str, new.config.diff_ids), *draft.diff_ids[count:]],
            _history(image, old, new),
        )
        built.add_other(new.layers, new.source)
        _merge_runtime(draft, old, new)
        if draft.media_type == media_types.OCI_MANIFEST:
            draft.annotate({BASE_NAME: new_base.name, BASE_DIGEST: str(new.manifest.digest)})

    async def _bases(self, image: Image) -> tuple[Base, Base]:
        """As given, else by the annotations."""
        if self.old is not None and self.new is not None:
            return self.old, self.new
        try:
            said = parse_manifest(image.manifest.content, image.manifest.media_type).annotations
        except RegistryError as error:  # it was read before
            raise Misused(f"{image.name}: {error.message}") from error
        name, digest = said.get(BASE_NAME), said.get(BASE_DIGEST)
        if not name or (self.old is None and not digest):
            raise Misused(
                f"{image.name} does not say what it is made on (annotations {BASE_NAME} and"
                f" {BASE_DIGEST}): name it with --old-base and --new-base"
            )
        old = self.old or await self.named(f"{_without_tag(name)}@{digest}")
        return old, self.new or await self.named(name)


def _without_tag(name: str) -> str:
    path, at, _ = name.partition("@")
    head, slash, last = path.rpartition("/")
    del at
    return f"{head}{slash}{last.partition(':')[0]}"


def _common(image: Image, old: Image) -> int:
    count = 0
    for mine, theirs in zip(image.config.diff_ids, old.config.diff_ids, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def _layers(new: Image, media_type: str) -> list[dict[str, Any]]:
    """The layers of the new base, in the words of the image's own format."""
    found = parse_object(new.manifest.content)["layers"]
    assert isinstance(found, list)
    if new.manifest.media_type == media_type:
        return found
    return [
        {**one, "mediaType": layer_type(media_type, Compression.of_media_type(one["mediaType"]))}
        for one in found
    ]


def _history(image: Image, old: Image, new: Image) -> list[dict[str, Any]] | None:
    """That of the new base, then what the image has beyond the old one; None if that is unknown."""
    count = len(old.config.diff_ids)
    mine, theirs, fresh = image.config.history, old.config.history, new.config.history
    if mine[: len(theirs)] == theirs:
        start: int | None = len(theirs)
    else:
        start = splits(list(mine), count)
    if start is None or (not fresh and new.layers):
        return None
    return [*fresh, *mine[start:]]


def _merge_runtime(draft: Draft, old: Image, new: Image) -> None:
    """What the image has as its old base had it, it gets from the new one."""
    before = old.config.value.get(_RUNTIME) or {}
    after = new.config.value.get(_RUNTIME) or {}
    mine = draft.runtime
    for key in sorted({*before, *after}):
        if key == "Env":
            merged: Any = _lines(_merged(*(_pairs(one.get(key)) for one in (before, after, mine))))
        elif isinstance(mine.get(key), dict) or key in ("Labels", "ExposedPorts", "Volumes"):
            merged = _merged(*((one.get(key) or {}) for one in (before, after, mine)))
        else:
            merged = after.get(key) if mine.get(key) == before.get(key) else mine.get(key)
        if merged:
            mine[key] = merged
        elif mine.get(key):
            del mine[key]


def _merged(before: dict[str, Any], after: dict[str, Any], mine: dict[str, Any]) -> dict[str, Any]:
    """Entries that the image did not change follow the base; all others are its own."""
    untouched = {key for key, value in mine.items() if key in before and before[key] == value}
    removed = {key for key in before if key not in mine}
    found = {
        key: mine[key] if key in mine and key not in untouched else value
        for key, value in after.items()
        if key not in removed
    }
    found |= {key: value for key, value in mine.items() if key not in untouched}
    return found


def _pairs(lines: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return dict(str(one).partition("=")[::2] for one in lines or [])


def _lines(pairs: dict[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in pairs.items()]
