"""How `kho diff` looks: a section each for layers, config, packages, files."""

from dataclasses import dataclass
from typing import Any, Final, Self

from kho.cli import shown
from kho.cli.listing import file_fields, mode_text
from kho.client.images.diff import Difference, PackageChange
from kho.client.images.diff_files import FileChange
from kho.client.images.files import FileInfo
from kho.client.images.image import Image
from kho.oci.manifest import Descriptor

_SIGNS: Final = {"added": "+", "removed": "-", "changed": "~"}
_WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class Sections:
    """Which are wanted; layers are told when all are."""

    files: bool
    packages: bool
    config: bool
    layers: bool

    @classmethod
    def of(cls, *, files: bool, packages: bool, config: bool) -> Self:
        """None named is all."""
        if not (files or packages or config):
            return cls(files=True, packages=True, config=True, layers=True)
        return cls(files=files, packages=packages, config=config, layers=False)

    def same(self, found: Difference) -> bool:
        """Whether nothing that is wanted differs."""
        return not (
            (self.files and found.files)
            or (self.packages and (found.packages or found.unread))
            or (self.config and found.config)
        )


def show(before: Image, after: Image, found: Difference, wanted: Sections) -> None:
    """Lines for people."""
    if wanted.layers:
        shown.line(f"- {before.name}")
        shown.line(f"+ {after.name}")
        shown.line()
        _layers(before, after, found)
    first = not wanted.layers
    for section, told in (
        (wanted.config, _config),
        (wanted.packages, _packages),
        (wanted.files, _files),
    ):
        if section:
            if not first:
                shown.line()
            first = False
            told(found)


def _layers(before: Image, after: Image, found: Difference) -> None:
    sizes = [sum(layer.size for layer in image.layers) for image in (before, after)]
    change = sizes[1] - sizes[0]
    sign = "-" if change < 0 else "+"
    shared = f"{len(found.shared)} shared ({_total(found.shared)})"
    only = f"{len(found.only_before)} and {len(found.only_after)} of their own"
    shown.line(
        f"Layers: {shared}, {only} ({_total(found.only_before)}, {_total(found.only_after)})"
    )
    told = f"{shown.size(sizes[0])} -> {shown.size(sizes[1])}"
    shown.line(f"Size: {told} ({sign}{shown.size(abs(change))})")


def _config(found: Difference) -> None:
    shown.line(f"Config: {len(found.config)} differ" if found.config else "Config: the same")
    for one in found.config:
        shown.line(f"  {one.name}")
        if one.before is not None:
            shown.line(f"    - {_cut(one.before)}")
        if one.after is not None:
            shown.line(f"    + {_cut(one.after)}")


def _packages(found: Difference) -> None:
    counts = _counted([_package_change(one) for one in found.packages])
    shown.line(f"Packages: {counts}")
    for name in found.unread:
        shown.line(f"  a database of {name} differs, which is not read here")
    rows = []
    for one in found.packages:
        versions = [", ".join(one.before), ", ".join(one.after)]
        told = " -> ".join(version for version in versions if version)
        rows.append((f"  {_SIGNS[_package_change(one)]} {one.kind}", one.name, told))
    if rows:
        shown.table(rows)


def _files(found: Difference) -> None:
    shown.line(f"Files: {_counted([change_of(one) for one in found.files])}")
    for one in found.files:
        shown.line(f"  {_SIGNS[change_of(one)]} {one.path}{_details(one)}")


def _details(one: FileChange) -> str:
    if one.before is None or one.after is None:
        info = one.after or one.before
        return f"  {shown.size(info.size)}" if info is not None and info.size else ""
    return "  " + ", ".join(_detail(what, one.before, one.after) for what in one.what)


def _detail(what: str, before: FileInfo, after: FileInfo) -> str:
    if what == "mode":
        return f"{mode_text(before)} -> {mode_text(after)}"
    if what == "owner":
        return f"{before.uid}:{before.gid} -> {after.uid}:{after.gid}"
    if what == "size":
        return f"{shown.size(before.size)} -> {shown.size(after.size)}"
    if what == "link":
        return f"-> {before.link} became -> {after.link}"
    if what == "kind":
        return f"{before.kind.value} -> {after.kind.value}"
    return what


def fields(before: Image, after: Image, found: Difference, wanted: Sections) -> dict[str, Any]:
    """For JSON: sections that were not wanted are absent."""
    out: dict[str, Any] = {
        "before": str(before.manifest.digest),
        "after": str(after.manifest.digest),
        "same": wanted.same(found),
    }
    if wanted.layers:
        named = {"shared": found.shared, "before": found.only_before, "after": found.only_after}
        out["layers"] = {
            name: [{"digest": str(one.digest), "size": one.size} for one in layers]
            for name, layers in named.items()
        }
    if wanted.config:
        out["config"] = [
            {"name": one.name, "before": one.before, "after": one.after} for one in found.config
        ]
    if wanted.packages:
        out["packages"] = [
            {"kind": one.kind, "name": one.name, "before": one.before, "after": one.after}
            for one in found.packages
        ]
        out["unread"] = list(found.unread)
    if wanted.files:
        out["files"] = [_file_fields(one) for one in found.files]
    return out


def _file_fields(one: FileChange) -> dict[str, Any]:
    known = {"before": one.before, "after": one.after}
    infos = {name: file_fields(info) for name, info in known.items() if info is not None}
    return {"path": one.path, "change": change_of(one), "what": list(one.what), **infos}


def change_of(one: FileChange) -> str:
    """Added, removed or changed."""
    if one.before is None:
        return "added"
    return "removed" if one.after is None else "changed"


def _package_change(one: PackageChange) -> str:
    if not one.before:
        return "added"
    return "removed" if not one.after else "changed"


def _counted(found: list[str]) -> str:
    told = [f"{found.count(what)} {what}" for what in _SIGNS if what in found]
    return ", ".join(told) if told else "the same"


def _total(layers: tuple[Descriptor, ...]) -> str:
    return shown.size(sum(layer.size for layer in layers))


def _cut(value: Any) -> str:  # noqa: ANN401 - text or a list
    text = " ".join(value) if isinstance(value, list) else str(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
