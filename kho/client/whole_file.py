"""Files that are written whole or not at all."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Put `content` in the place of what `path` has, on disk; whoever reads sees either."""
    # A name that nobody can have laid a link under.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(part, _FLAGS, mode)
    try:
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
