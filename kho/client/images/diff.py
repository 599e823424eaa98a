"""Two images side by side: layers, files, packages, config.

layers in common from the lowest on ─► not read, unless a difference cannot be told without them
the others of both ─► files with their digests ─► changes ─► packages that they tell of
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from kho.client.images import packages
from kho.client.images.diff_files import FileChange, NodeChange, changes
from kho.client.images.files import ImageFiles
from kho.client.images.files_view import Node, Unsure
from kho.client.images.image import Image, ImageConfig
from kho.client.images.packages import Package
from kho.client.progress import SILENT, Progress
from kho.layers.tar import Kind
from kho.oci.manifest import Descriptor

# Of records of single packages, which are kept when they come along.
_KEPT: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class PackageChange:
    """Versions of one package before and after; none where it was not there, or is not."""

    kind: str
    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """One field of the config: `env PATH`, `entrypoint`; None where it is not set."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs; sizes are of layers as they are stored."""

    # From the lowest on.
    shared: tuple[Descriptor, ...]
    only_before: tuple[Descriptor, ...]
    only_after: tuple[Descriptor, ...]
    files: tuple[FileChange, ...]
    packages: tuple[PackageChange, ...]
    # Databases of packages that changed and cannot be read here.
    unread: tuple[str, ...]
    config: tuple[ConfigChange, ...]
    # How many of the shared layers had to be read all the same.
    shared_read: int

    @property
    def same(self) -> bool:
        """Whether nothing differs that this looks at; layers may all the same."""
        return not (self.files or self.packages or self.config)


@dataclass
class _Pair:
    """Two images whose layers are remembered together."""

    before: ImageFiles
    after: ImageFiles
    kept: int = field(default=0)

    def keep(self, path: tuple[bytes, ...], size: int) -> bool:
        if not packages.is_small_record(path, size) or self.kept + size > _KEPT:
            return False
        self.kept += size
        return True


async def diff_images(
    before: Image,
    after: Image,
    *,
    files: bool = True,
    with_packages: bool = True,
    told: Progress = SILENT,
) -> Difference:
    """Compare; without `files` and `with_packages` no layer is read."""
    shared = _shared(before, after)
    found: list[NodeChange] = []
    told_packages: tuple[PackageChange, ...] = ()
    unread: tuple[str, ...] = ()
    first = shared
    if files or with_packages:
        pair = _pair(before, after, told)
        first, found = await _files(pair, shared)
        if with_packages:
            told_packages = await _packages(pair, found)
            unread = _unread(found)
    return Difference(
        before.layers[:shared],
        before.layers[shared:],
        after.layers[shared:],
        tuple(one.file_change() for one in found) if files else (),
        told_packages,
        unread,
        tuple(config_changes(before.config, after.config)),
        shared - first,
    )


def _pair(before: Image, after: Image, told: Progress) -> _Pair:
    one = ImageFiles(before, told, hashed=True)
    pair = _Pair(one, ImageFiles(after, told, hashed=True, known=one.known))
    pair.before.keep = pair.after.keep = pair.keep
    return pair


def _shared(before: Image, after: Image) -> int:
    """How many layers are the same, from the lowest on."""
    count = 0
    for one, two in zip(before.layers, after.layers, strict=False):
        if one.digest != two.digest:
            break
        count += 1
    return count


async def _files(pair: _Pair, shared: int) -> tuple[int, list[NodeChange]]:
    """The changes, and the lowest layer that was read for them."""
    if shared == len(pair.before.image.layers) == len(pair.after.image.layers):
        return shared, []
    first = shared
    while True:
        one, two = await pair.before.view(first), await pair.after.view(first)
        try:
            return first, await asyncio.to_thread(lambda: list(changes(one, two)))  # noqa: B023
        except Unsure:
            first -= 1


async def _packages(pair: _Pair, found: list[NodeChange]) -> tuple[PackageChange, ...]:
    before: set[Package] = set()
    after: set[Package] = set()
    for one in found:
        before |= await _told_by(pair.before, one, one.before)
        after |= await _told_by(pair.after, one, one.after)
    names = sorted({package[:2] for package in before ^ after})
    return tuple(
        PackageChange(kind, name, _versions(before, kind, name), _versions(after, kind, name))
        for kind, name in names
    )


async def _told_by(files: ImageFiles, change: NodeChange, node: Node | None) -> set[Package]:
    """What one side of a change says of packages."""
    if node is None:
        return set()
    named = packages.by_name(change.parts)
    if named is not None:
        return {named} if change.before is None or change.after is None else set()
    if not packages.needs_content(change.parts) or not _is_read(node):
        return set()
    content = b"".join([piece async for piece in files.read(node)])
    return await asyncio.to_thread(packages.by_content, change.parts, content)


def _is_read(node: Node) -> bool:
    return (
        node.kind is Kind.FILE
        and node.item is not None
        and node.item.entry.size <= packages.DATABASE_BYTES
    )


def _versions(found: set[Package], kind: str, name: str) -> tuple[str, ...]:
    return tuple(sorted(version for one, other, version in found if (one, other) == (kind, name)))


def _unread(found: list[NodeChange]) -> tuple[str, ...]:
    known = packages.UNREAD
    return tuple(sorted({known[one.parts] for one in found if one.parts in known}))


def config_changes(before: ImageConfig, after: ImageConfig) -> Iterable[ConfigChange]:
    """Fields that differ, by name; when it was created and its history do not count."""
    one, two = _fields(before), _fields(after)
    for name in sorted({*one, *two}):
        if one.get(name) != two.get(name):
            yield ConfigChange(name, one.get(name), two.get(name))


def _fields(config: ImageConfig) -> dict[str, Any]:
    """Flat, so that one variable or label that differs is told alone; what is not set is absent."""
    found: dict[str, Any] = {
        "platform": str(config.platform),
        "author": config.author,
        "entrypoint": list(config.entrypoint),
        "cmd": list(config.command),
        "user": config.user,
        "workdir": config.working_dir,
        "ports": sorted(config.exposed_ports),
        "volumes": sorted(config.volumes),
        "stop signal": config.stop_signal,
    }
    found |= {f"label {name}": text for name, text in config.labels.items()}
    for entry in config.env:
        name, _, text = entry.partition("=")
        found[f"env {name}"] = text
    return {name: value for name, value in found.items() if value or name.startswith("env ")}
