"""What a path in a layer means: its place below the root, and whether it takes something away."""

from enum import Enum
from typing import Final

from kho.layers.errors import LayerRefused, shown
from kho.layers.limits import DEFAULT, Limits

_WHITEOUT: Final = b".wh."
_META: Final = b".wh..wh."
_OPAQUE: Final = b".wh..wh..opq"


class Marker(Enum):
    """Names that take nothing single away."""

    OPAQUE = "the folder hides what lower layers have in it"
    METADATA = "bookkeeping of AUFS, which old Docker left in layers; to be skipped"


OPAQUE: Final = Marker.OPAQUE
METADATA: Final = Marker.METADATA


def components(path: bytes, limits: Limits = DEFAULT) -> tuple[bytes, ...]:
    """`./a//b/` as (a, b); () is the root. LayerRefused for a NUL, and for what is too long.

    `..` is taken back before anything is looked up, and never above the root: `../../x` is `/x` and
    `a/../b` is `/b` even where `a` is a symbolic link. So do containerd and umoci.
    """
    if len(path) > limits.path:
        raise LayerRefused(f"{shown(path)}: longer than {limits.path} bytes")
    if b"\0" in path:
        raise LayerRefused(f"{shown(path)}: a NUL in a path")
    found: list[bytes] = []
    for name in path.split(b"/"):
        if not name or name == b".":
            continue
        if name == b"..":
            del found[-1:]
            continue
        if len(name) > limits.name:
            raise LayerRefused(f"{shown(path)}: a name in it has more than {limits.name} bytes")
        found.append(name)
    return tuple(found)


def whiteout(name: bytes) -> bytes | Marker | None:
    """What the last component of a path takes away: a name beside it, or OPAQUE; None if nothing.

    METADATA is not for the file system. LayerRefused for a whiteout of nothing, `.` or `..`.
    """
    if not name.startswith(_WHITEOUT):
        return None
    if name == _OPAQUE:
        return OPAQUE
    if name.startswith(_META):
        return METADATA
    removed = name[len(_WHITEOUT) :]
    if removed in {b"", b".", b".."}:
        raise LayerRefused(
            f"{shown(name)}: a whiteout names one entry beside it, which this does not"
        )
    return removed


def is_metadata(path: tuple[bytes, ...]) -> bool:
    """Whether something is, or is in, a folder of AUFS: `.wh..wh.plnk/12.34`."""
    return any(name.startswith(_META) and name != _OPAQUE for name in path)
