"""Changes of how an image is run and what is said of it; its layers stay where they are."""

from dataclasses import dataclass, field
from typing import Any

from kho.client.building.built import Built
from kho.client.building.draft import Draft, changed
from kho.client.building.rewrite import Rewriter
from kho.client.images.image import Image
from kho.client.progress import SILENT, Progress
from kho.client.stores.store import Source
from kho.oci.platform import Platform
from kho.remote.manifests import Manifest

Changes = dict[str, str | None]
"""Values by name; None takes the name away."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different; None, or nothing in it, leaves it as it is."""

    labels: Changes = field(default_factory=dict)
    env: Changes = field(default_factory=dict)
    annotations: Changes = field(default_factory=dict)
    # As docker has it, an entrypoint without a command takes the old command away.
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    user: str | None = None
    working_dir: str | None = None
    stop_signal: str | None = None
    # `80/tcp`; True exposes, False no longer.
    ports: dict[str, bool] = field(default_factory=dict)
    volumes: dict[str, bool] = field(default_factory=dict)
    # RFC 3339.
    created: str | None = None
    author: str | None = None
    platform: Platform | None = None

    def apply(self, draft: Draft) -> None:
        """Change an image; of the manifest, its annotations."""
        runtime = draft.runtime
        changed(runtime, "Labels", self.labels)
        _change_env(runtime, self.env)
        if self.entrypoint is not None:
            _put(runtime, "Entrypoint", list(self.entrypoint))
            if self.command is None:
                runtime.pop("Cmd", None)
        if self.command is not None:
            _put(runtime, "Cmd", list(self.command))
        for key, text in (
            ("User", self.user),
            ("WorkingDir", self.working_dir),
            ("StopSignal", self.stop_signal),
        ):
            if text is not None:
                _put(runtime, key, text)
        _change_set(runtime, "ExposedPorts", self.ports)
        _change_set(runtime, "Volumes", self.volumes)
        for key, text in (("created", self.created), ("author", self.author)):
            if text is not None:
                _put(draft.config, key, text)
        if self.platform is not None:
            for key in ("os", "architecture", "variant", "os.version"):
                draft.config.pop(key, None)
            draft.config.update(self.platform.fields())
        draft.annotate(self.annotations)


async def mutate(
    source: Source,
    target: str,
    change: Change,
    *,
    platform: Platform | None = None,
    told: Progress = SILENT,
) -> tuple[Built, Manifest]:
    """Change an image, or all images of an index and the index's annotations.

    With a platform, that image alone is changed, and alone is the result.
    """
    built = Built(source)

    async def edit(image: Image, draft: Draft) -> None:
        del image
        change.apply(draft)

    rewriter = Rewriter(source, built, edit, change.annotations, told)
    return built, await rewriter.run(target, platform)


def _put(holder: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401 - JSON
    """Set it; what is empty is left out, as Go writes it."""
    if value:
        holder[key] = value
    else:
        holder.pop(key, None)


def _change_env(runtime: dict[str, Any], changes: Changes) -> None:
    """Each in its place; new ones behind."""
    if not changes:
        return
    values = [one.partition("=")[::2] for one in runtime.get("Env") or []]
    found = [(name, changes.get(name, value)) for name, value in values]
    known = {name for name, _ in values}
    found += [(name, value) for name, value in changes.items() if name not in known]
    _put(runtime, "Env", [f"{name}={value}" for name, value in found if value is not None])


def _change_set(runtime: dict[str, Any], key: str, changes: dict[str, bool]) -> None:
    """Go's form of a set: an object of empty objects."""
    if not changes:
        return
    values = dict(runtime.get(key) or {})
    for name, wanted in changes.items():
        if wanted:
            values.setdefault(name, {})
        else:
            values.pop(name, None)
    _put(runtime, key, dict(sorted(values.items())))
