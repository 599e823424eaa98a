"""Removing trees that images have brought: links are not followed, modes are no hindrance."""

import errno
import os
from typing import Final

# So deep are trees at most: removal has one folder open for each level.
DEPTH: Final = 256

_FLAGS: Final = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OWN: Final = 0o700


def remove(parent: int, name: bytes) -> None:
    """Remove a file, a link or a whole tree from an open folder."""
    try:
        os.unlink(name, dir_fd=parent)
    except OSError as error:
        # The kernel says EISDIR, POSIX would say EPERM.
        if error.errno not in {errno.EISDIR, errno.EPERM}:
            raise
    else:
        return
    fd = _open(parent, name)
    try:
        for inner in os.listdir(fd):
            remove(fd, os.fsencode(inner))
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent)


def _open(parent: int, name: bytes) -> int:
    """A folder, which we may change from now on: one of ours may have the mode of an image."""
    handle = os.open(name, _FLAGS | os.O_PATH, dir_fd=parent)
    try:
        if os.fstat(handle).st_mode & _OWN != _OWN:
            os.chmod(f"/proc/self/fd/{handle}", _OWN)
        return os.open(".", _FLAGS | os.O_RDONLY, dir_fd=handle)
    finally:
        os.close(handle)
