"""Files of images as the API tells them, with paths that any bytes fit into."""

from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from kho.server.index.files import browse, changes
from kho.server.index.files.squash import Node
from kho.server.inspection.packed import Entry, Kind
from kho.server.web.api.operation import Told
from kho.server.web.api.problems import Mistakes
from kho.server.web.api.values import Time, time_of

_LATEST: Final = 253_402_300_799  # the last second of the year 9999


class File(Told, frozen=True):
    """A name of an image. `path` as a query takes it; `kind` is file, directory, symlink, ...

    `size` of a directory is that of all files below it. `layer` counts from 0, the lowest.
    """

    path: str
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    modified_at: Time
    link: str | None
    sha256: str | None
    layer: int


class ShownFile(File, frozen=True):
    """A name, and what the uppermost layer has done with it: added, modified, removed or "".

    `touched` tells of a directory whether that layer has something in it.
    """

    change: str
    touched: bool


class Difference(Told, frozen=True):
    """A path that differs; `what` says in what: kind, content, mode, owner, link."""

    path: str
    change: str
    what: list[str]
    growth: int
    before: File | None
    after: File | None


def bytes_of(path: str) -> bytes:
    """The path as the image has it. Raises Mistakes."""
    found = unquote_to_bytes(path).strip(b"/")
    if b"\0" in found:
        raise Mistakes("the query is not right", ["path: holds a NUL character"])
    return found


def text_of(path: bytes) -> str:
    """The path as a query takes it: readable, but for what is not UTF-8, and `%`."""
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return quote(path)
    return text.replace("%", "%25")


def shown(folder: bytes, one: browse.Shown) -> ShownFile:
    """A name of a folder."""
    path = folder + b"/" + one.entry.name if folder else one.entry.name
    return ShownFile(
        **_facts(path, one.entry, one.layer, one.size),
        change=one.change.value,
        touched=one.is_touched,
    )


def file_of(path: bytes, node: Node) -> File:
    """A path of an image."""
    return File(**_facts(path, node.entry, node.layer, node.size))


def difference(one: changes.Changed) -> Difference:
    """A path that differs."""
    return Difference(
        path=text_of(one.path),
        change=one.change.value,
        what=list(one.what),
        growth=one.growth,
        before=None if one.before is None else file_of(one.path, one.before),
        after=None if one.after is None else file_of(one.path, one.after),
    )


def _facts(path: bytes, entry: Entry, layer: int, size: int) -> dict[str, Any]:
    linked = entry.kind in {Kind.SYMLINK, Kind.HARDLINK, Kind.CHARACTER, Kind.BLOCK}
    return {
        "path": text_of(path),
        "kind": "directory" if entry.kind.is_directory else entry.kind.name.lower(),
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "size": size,
        "modified_at": time_of(max(0, min(entry.mtime, _LATEST)) * 1000),
        "link": text_of(entry.link) if linked else None,
        "sha256": entry.sha256.hex() or None,
        "layer": layer,
    }
