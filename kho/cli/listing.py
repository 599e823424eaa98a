"""What `kho ls` lists: repositories of a registry, files of an image."""

import asyncio
import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kho.cli import shown
from kho.cli.reading import Notes, opened
from kho.client.errors import Misused
from kho.client.images.files import FileInfo, ImageFiles
from kho.layers.tar import Kind
from kho.oci.reference import parse_host
from kho.remote.errors import NotFound
from kho.remote.registry import Registry
from kho.remote.repositories import repositories
from kho.remote.tags import tags

if TYPE_CHECKING:
    from kho.cli.wire import Wire

# Repositories at a time whose tags are asked for.
_PARALLEL: Final = 8
_NANO: Final = 10**9
_BITS: Final = {
    Kind.FILE: stat.S_IFREG,
    Kind.HARDLINK: stat.S_IFREG,
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.FIFO: stat.S_IFIFO,
    Kind.CHARACTER: stat.S_IFCHR,
    Kind.BLOCK: stat.S_IFBLK,
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A file, and what it is called in the list."""

    name: str
    info: FileInfo

    def fields(self) -> dict[str, Any]:
        """For JSON."""
        return file_fields(self.info)

    def columns(self) -> tuple[str, ...]:
        """Mode, owner, size, time, layer, name and where a link leads."""
        info = self.info
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(clamped(info.mtime_ns)))
        name = f"{self.name} -> {info.link}" if info.link else self.name
        mode, owner = mode_text(info), f"{info.uid}:{info.gid}"
        return mode, owner, str(info.size), when, f"layer {info.layer}", name


def file_fields(info: FileInfo) -> dict[str, Any]:
    """A file for JSON; the mode is a number in octal digits, the time in seconds."""
    found: dict[str, Any] = {
        "path": info.path,
        "kind": info.kind.value,
        "mode": f"{info.mode:04o}",
        "uid": info.uid,
        "gid": info.gid,
        "size": info.size,
        "mtime": info.mtime_ns / _NANO,
        "layer": info.layer,
    }
    if info.link:
        found["link"] = info.link
    if info.digest:
        found["digest"] = info.digest
    return found


def mode_text(info: FileInfo) -> str:
    """As `ls -l` has it."""
    return stat.filemode(_BITS[info.kind] | info.mode & 0o7777)


def clamped(mtime_ns: int) -> int:
    """Seconds of a time that a calendar has; an image may say anything."""
    return max(0, min(mtime_ns // _NANO, 253_402_300_799))


async def list_files(
    wire: "Wire", reference: str, path: str, platform: str | None, *, recursive: bool
) -> list[Listed]:
    """A file itself, what a folder has in it, or all below it."""
    async with opened(wire, reference, platform) as image:
        files = ImageFiles(image, Notes())
        view = await files.view()
        node = await files.find(path)
        above = tuple(part for part in os.fsencode(path).split(b"/") if part not in {b"", b"."})
        if not node.is_folder:
            return [Listed(path, FileInfo.of(above, node))]
        if recursive:
            below = view.walk(node, above)
            return [Listed((one := FileInfo.of(*found)).path, one) for found in below]
        return [
            Listed(os.fsdecode(name), FileInfo.of((*above, name), child))
            for name, child in view.entries(node)
        ]


async def list_repositories(wire: "Wire", text: str, *, with_tags: bool, as_json: bool) -> None:
    """Print the repositories of a registry that begin with a prefix."""
    host, slash, prefix = text.partition("/")
    if not ("." in host or ":" in host or host == "localhost"):
        hint = f"its files are {text}:/, its tags `kho tags {text}`"
        raise Misused(f"{text!a:.300} is no registry (HOST[:PORT], with a dot or port); {hint}")
    if ":" in prefix or "@" in prefix:
        raise Misused(f"{text!a:.300} is an image, no registry: its files are {text}:/")
    registry = wire.registry(parse_host(host))
    found: list[str] = []
    async for name in repositories(registry):
        if not (slash and prefix) or begins(name, prefix):
            found.append(name)
            if not (as_json or with_tags):
                shown.line(f"{registry.name}/{name}")
    if with_tags:
        await _list_tags(registry, found, as_json=as_json)
    elif as_json:
        shown.as_json([{"repository": f"{registry.name}/{name}"} for name in found])


def begins(name: str, prefix: str) -> bool:
    """Whether a repository is below a prefix: `team` has `team/app` and not `teams/app`."""
    return name == prefix.rstrip("/") or name.startswith(prefix.rstrip("/") + "/")


async def _list_tags(registry: Registry, names: list[str], *, as_json: bool) -> None:
    places = asyncio.Semaphore(_PARALLEL)

    async def ask(name: str) -> list[str]:
        async with places:
            try:
                return [tag async for tag in tags(registry, name)]
            except NotFound:  # it is in the list, and has no tags: some registries have it so
                return []

    try:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(ask(name)) for name in names]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    found = {name: task.result() for name, task in zip(names, asked, strict=True)}
    if as_json:
        shown.as_json(
            [
                {"repository": f"{registry.name}/{name}", "tags": told}
                for name, told in found.items()
            ]
        )
        return
    for name, told in found.items():
        for tag in told:
            shown.line(f"{registry.name}/{name}:{tag}")
