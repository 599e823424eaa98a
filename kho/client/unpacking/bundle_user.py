"""Who a container's process is: the `User` of an image, looked up in the image's own files."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kho.client.errors import ClientError
from kho.client.unpacking.rootfs import Rootfs

# More were taken for less by runtimes that counted in 32 bits (CVE-2024-40635 of containerd).
_LAST_ID: Final = (1 << 31) - 1
_FILE: Final = 1 << 20
_PASSWD_FIELDS: Final = 6
_GROUP_FIELDS: Final = 3


@dataclass(frozen=True, slots=True)
class User:
    """Ids, and where its home is; `additional` has the first group, too, where there is more."""

    uid: int
    gid: int
    additional: tuple[int, ...]
    home: str


def user_of(text: str, rootfs: Rootfs) -> User:
    """`user`, `uid`, `user:group`, `uid:gid` and what is between; nothing is root.

    A number needs no line in /etc/passwd, a name does: ClientError.
    """
    name, _, group = text.partition(":")
    name = name or "0"
    uid, gid, home, login = _id(name), 0, "/", ""
    for fields in _lines(rootfs, b"etc/passwd", _PASSWD_FIELDS):
        found = _id(fields[2])
        if found is not None and (fields[0] == name or found == uid):
            uid, gid, home, login = found, _id(fields[3]) or 0, fields[5] or "/", fields[0]
            break
    if uid is None:
        raise ClientError(f"the image runs as {name[:100]!a}, whom its /etc/passwd does not have")
    if group:
        return User(_checked(uid), _checked(_group(group, rootfs)), (), home)
    return User(_checked(uid), _checked(gid), _additional(login, gid, rootfs), home)


def _group(text: str, rootfs: Rootfs) -> int:
    for fields in _lines(rootfs, b"etc/group", _GROUP_FIELDS):
        if fields[0] == text:
            found = _id(fields[2])
            if found is not None:
                return found
    found = _id(text)
    if found is None:
        raise ClientError(f"the image runs in group {text[:100]!a}, which its /etc/group has not")
    return found


def _additional(login: str, gid: int, rootfs: Rootfs) -> tuple[int, ...]:
    if not login:
        return ()
    found = {
        _id(fields[2])
        for fields in _lines(rootfs, b"etc/group", _GROUP_FIELDS)
        if login in fields[3:4] or login in ",".join(fields[3:4]).split(",")
    }
    others = sorted(one for one in found if one is not None and one != gid and one <= _LAST_ID)
    return (gid, *others) if others else ()


def _lines(rootfs: Rootfs, path: bytes, fields: int) -> Iterator[list[str]]:
    content = rootfs.read(path, _FILE) or b""
    for line in content.decode("utf-8", "replace").splitlines():
        found = line.split(":")
        if len(found) >= fields and not line.startswith("#"):
            yield found


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 20 else None  # noqa: PLR2004


def _checked(number: int) -> int:
    if number > _LAST_ID:
        raise ClientError(f"the image runs as id {number}; ids end at {_LAST_ID}")
    return number
