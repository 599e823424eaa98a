"""Layers written as hostile as one likes, and folders that must not change meanwhile."""

import io
import os
import stat
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kho.client.unpacking.looks import Looks
from kho.client.unpacking.rootfs import Rootfs
from kho.layers.limits import DEFAULT, Limits
from kho.layers.tar import TarReader

MTIME = 1_600_000_000


@dataclass(frozen=True)
class Member:
    """One entry of a layer."""

    path: str
    kind: bytes = tarfile.REGTYPE
    content: bytes = b""
    link: str = ""
    mode: int = 0o644
    uid: int = field(default_factory=os.geteuid)
    gid: int = field(default_factory=os.getegid)
    mtime: float = MTIME
    device: tuple[int, int] = (0, 0)
    xattrs: dict[str, str] = field(default_factory=dict)


def file(path: str, content: bytes = b"", **more: Any) -> Member:
    return Member(path, content=content, **more)


def folder(path: str, mode: int = 0o755, **more: Any) -> Member:
    return Member(path, tarfile.DIRTYPE, mode=mode, **more)


def symlink(path: str, link: str, **more: Any) -> Member:
    return Member(path, tarfile.SYMTYPE, link=link, **more)


def hardlink(path: str, link: str, **more: Any) -> Member:
    return Member(path, tarfile.LNKTYPE, link=link, **more)


def fifo(path: str, **more: Any) -> Member:
    return Member(path, tarfile.FIFOTYPE, **more)


def device(path: str, kind: bytes = tarfile.CHRTYPE, **more: Any) -> Member:
    return Member(path, kind, device=more.pop("number", (1, 3)), **more)


def layer(*members: Member) -> bytes:
    """The tar of them, names as they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for one in members:
            info = tarfile.TarInfo(one.path)
            info.type, info.linkname, info.mode = one.kind, one.link, one.mode
            info.uid, info.gid, info.mtime = one.uid, one.gid, one.mtime
            info.size = len(one.content)
            info.devmajor, info.devminor = one.device
            info.pax_headers = {f"SCHILY.xattr.{key}": text for key, text in one.xattrs.items()}
            tar.addfile(info, io.BytesIO(one.content))
    return out.getvalue()


def applied(
    root: Path,
    *layers: bytes,
    rootless: bool = True,
    keep_setuid: bool = False,
    limits: Limits = DEFAULT,
) -> tuple[Rootfs, Looks]:
    """Make the folder and apply layers to it, as `unpack` does."""
    root.mkdir()
    looks = Looks(rootless, keep_setuid)
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        rootfs = Rootfs(fd, looks, limits)
        try:
            for one in layers:
                rootfs.apply(TarReader(io.BytesIO(one), limits))
            rootfs.finish()
        finally:
            rootfs.close()
    finally:
        os.close(fd)
    return rootfs, looks


def tree(root: Path, *, ctime: bool = False) -> dict[str, tuple[object, ...]]:
    """All that can be told apart from outside: kinds, ids, times, content, links, attributes."""
    found: dict[str, list[object]] = {}
    names: dict[int, list[str]] = {}
    for path in (root, *root.rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(root))
        kind = stat.S_IFMT(status.st_mode)
        content: object = None
        if kind == stat.S_IFREG:
            content = path.read_bytes()
        elif kind == stat.S_IFLNK:
            content = os.readlink(path)
        attributes = {
            one: os.getxattr(path, one, follow_symlinks=False)
            for one in os.listxattr(path, follow_symlinks=False)
        }
        found[name] = [oct(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns]
        found[name] += [status.st_rdev, content, attributes, status.st_ctime_ns if ctime else 0]
        if kind != stat.S_IFDIR:
            names.setdefault(status.st_ino, []).append(name)
            found[name].append(status.st_ino)
    return {
        name: (*fields[:-1], tuple(sorted(names[fields[-1]])))  # type: ignore[index]
        if len(fields) > 8
        else tuple(fields)
        for name, fields in found.items()
    }


def canary(host: Path) -> dict[str, tuple[object, ...]]:
    """A folder that looks like a host's, where a `root` is to be made; what it looks like."""
    for name in ("etc", "home/user", "dev", "tmp"):
        (host / name).mkdir(parents=True)
    (host / "etc/passwd").write_text("host")
    (host / "etc/passwd").chmod(0o400)
    (host / "etc/shadow").write_text("secret")
    (host / "home/user/.profile").write_text("profile")
    (host / "file").write_text("host content")
    os.symlink("etc", host / "link")
    os.mkfifo(host / "dev/pipe")
    os.link(host / "etc/shadow", host / "tmp/shadow")
    return tree(host, ctime=True)
