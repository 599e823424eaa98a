"""Files of a folder that may come from anybody: what is opened is a regular file, and never hangs.

A blob that is a symbolic link could be any file of the user who pushes the layout (U6), a pipe
would wait for ever, a device never end. Folders may be links: only digests are names in them.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kho.client.errors import ClientError, Damaged

_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# What goes wrong where bytes go to; other errors are not about that.
_UNWRITABLE: Final = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS}
)


class LayoutBroken(Damaged):
    """A folder that is no image layout; one line that says why."""


class LayoutUnwritable(ClientError):
    """A folder that takes nothing: a full disk, no rights; one line that says which."""


def open_regular(path: Path) -> int:
    """A descriptor to read from; raise FileNotFoundError, LayoutBroken."""
    try:
        fd = os.open(path, _FLAGS)
    except FileNotFoundError:
        raise
    except OSError as error:
        kind = (
            "is a symbolic link" if error.errno == errno.ELOOP else f"cannot be read: {_of(error)}"
        )
        raise LayoutBroken(f"{path} {kind}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise LayoutBroken(f"{path} is no regular file")
    return fd


def read_regular(path: Path, limit: int) -> bytes:
    """All of it; raise FileNotFoundError, LayoutBroken where it has more than `limit` bytes."""
    with open(open_regular(path), "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise LayoutBroken(f"{path} has more than {limit} bytes")
    return content


def regular_size(path: Path) -> int | None:
    """Bytes; None where there is no regular file."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say it clearly where a folder takes nothing."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise LayoutUnwritable(f"cannot write to {folder}: {_of(error)}") from error


def _of(error: OSError) -> str:
    return error.strerror or str(error)
