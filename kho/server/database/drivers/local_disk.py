"""SQLite needs shared memory and honest locks: a disk of this machine, not of a network."""

import os
from pathlib import Path
from typing import Final

from kho.server.database.errors import UnusableDatabase

_MOUNTS: Final = "/proc/self/mountinfo"
_REMOTE: Final = frozenset(
    {"9p", "afs", "ceph", "cifs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
    | {"fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"}
)


def require_local(path: str, *, mounts: str = _MOUNTS) -> None:
    """Raise UnusableDatabase when the file would lie on a network file system."""
    try:
        lines = Path(mounts).read_text(errors="surrogateescape").splitlines()
    except OSError:  # no Linux: nobody can say
        return
    kind = _kind(os.path.realpath(path), lines)
    if kind in _REMOTE:
        raise UnusableDatabase(
            f"{path}: SQLite cannot be trusted on a network file system ({kind}); "
            "use a local disk, or PostgreSQL"
        )


def _kind(path: str, lines: list[str]) -> str | None:
    """The type of the file system that holds `path`; of two mounts on one place, the later."""
    best, kind = -1, None
    for line in lines:
        mount, _, rest = line.partition(" - ")
        point = _unescaped(mount.split(" ")[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:
            best, kind = len(point), rest.split(" ")[0]
    return kind


def _unescaped(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
