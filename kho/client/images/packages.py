"""Packages that files of an image tell of, without running anything of it.

kind     where                                             what is read
deb      var/lib/dpkg/status, var/lib/dpkg/status.d/*      stanzas
apk      lib/apk/db/installed, usr/lib/apk/db/installed    stanzas
rpm      rpmdb.sqlite                                      headers of its table (packages_rpm.py)
python   *.dist-info, *.egg-info                           the name of the folder
npm      node_modules/*/package.json                       name and version
"""

import json
import re
from collections.abc import Iterator
from typing import Final

from kho.client.images.files_index import Parts
from kho.client.images.packages_rpm import rpm_packages

DATABASE_BYTES: Final = 256 << 20
_SMALL_BYTES: Final = 1 << 20
_STATUS: Final = frozenset({(b"var", b"lib", b"dpkg", b"status")})
_STATUS_FOLDER: Final = (b"var", b"lib", b"dpkg", b"status.d")
_APK: Final = frozenset(
    {(b"lib", b"apk", b"db", b"installed"), (b"usr", b"lib", b"apk", b"db", b"installed")}
)
_RPM: Final = frozenset(
    {
        (b"var", b"lib", b"rpm", b"rpmdb.sqlite"),
        (b"usr", b"lib", b"sysimage", b"rpm", b"rpmdb.sqlite"),
    }
)
# Older forms, which nothing here reads.
UNREAD: Final = {
    (b"var", b"lib", b"rpm", b"Packages"): "rpm (Berkeley DB)",
    (b"var", b"lib", b"rpm", b"Packages.db"): "rpm (ndb)",
    (b"usr", b"lib", b"sysimage", b"rpm", b"Packages.db"): "rpm (ndb)",
}
_INFO: Final = re.compile(
    rb"(?P<name>[A-Za-z0-9][A-Za-z0-9._]*)-(?P<version>[^-/]+)"
    rb"(?:-py[0-9.]+(?:-[^/]*)?)?\.(?:dist|egg)-info"
)
_FOLDERS: Final = frozenset({b"site-packages", b"dist-packages"})

Package = tuple[str, str, str]
"""Kind, name, version."""


def is_small_record(path: Parts, size: int) -> bool:
    """Whether a file is read for one package, and worth keeping when it comes along."""
    return size <= _SMALL_BYTES and (_is_npm(path) or path[:-1] == _STATUS_FOLDER)


def needs_content(path: Parts) -> bool:
    """Whether what a file says of packages is in its content; so may be a folder."""
    found = path in _STATUS or path in _APK or path in _RPM
    return found or path[:-1] == _STATUS_FOLDER or _is_npm(path)


def by_name(path: Parts) -> Package | None:
    """What the name of a file or folder says of a package."""
    if len(path) < 2 or path[-2] not in _FOLDERS:  # noqa: PLR2004
        return None
    match = _INFO.fullmatch(path[-1])
    if match is None:
        return None
    name = match["name"].decode().lower().replace("_", "-").replace(".", "-")
    return "python", name, match["version"].decode("utf-8", "replace")


def by_content(path: Parts, content: bytes) -> set[Package]:
    """What the content of a file says; nothing where it makes no sense."""
    if path in _RPM:
        return {("rpm", name, version) for name, version in rpm_packages(content)}
    if path in _APK:
        return set(_apk(content))
    if _is_npm(path):
        return set(_npm(content))
    return set(_deb(content, installed=path not in _STATUS))


def _is_npm(path: Parts) -> bool:
    """`node_modules/NAME/package.json` or `node_modules/@SCOPE/NAME/package.json`."""
    if path[-1:] != (b"package.json",):
        return False
    return path[-3:-2] == (b"node_modules",) or (
        path[-4:-3] == (b"node_modules",) and path[-3].startswith(b"@")
    )


def _stanzas(content: bytes) -> Iterator[dict[bytes, bytes]]:
    """Fields by name; what goes on in further lines is left out."""
    for stanza in content.replace(b"\r\n", b"\n").split(b"\n\n"):
        fields = (line.partition(b":") for line in stanza.split(b"\n") if line[:1] not in b" \t")
        found = {name: value.strip() for name, colon, value in fields if colon}
        if found:
            yield found


def _deb(content: bytes, *, installed: bool) -> Iterator[Package]:
    for fields in _stanzas(content):
        state = fields.get(b"Status", b"installed" if installed else b"")
        if b"Package" in fields and state.endswith(b"installed") and b"not-" not in state:
            yield "deb", _text(fields[b"Package"]), _text(fields.get(b"Version", b""))


def _apk(content: bytes) -> Iterator[Package]:
    for fields in _stanzas(content):
        if b"P" in fields:
            yield "apk", _text(fields[b"P"]), _text(fields.get(b"V", b""))


def _npm(content: bytes) -> Iterator[Package]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        name, version = value.get("name"), value.get("version")
        if isinstance(name, str) and isinstance(version, str):
            yield "npm", name, version


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
