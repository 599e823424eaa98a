"""Temporary files without a name: whatever happens, nothing of them stays."""

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Final

# Images are large and /tmp is memory on many machines; TMPDIR decides where it is set.
_LARGE: Final = Path("/var/tmp")  # noqa: S108 - the file has no name that one could guess
PIECE: Final = 1024 * 1024


class Spool:
    """A file that only this process sees; gone when it is closed, or the process dead."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(dir=_folder(), buffering=0)  # noqa: SIM115 - see close
        self.size = 0

    def fileno(self) -> int:
        """To read from, at any place."""
        return self._file.fileno()

    def write(self, piece: bytes) -> None:
        """At the end."""
        view = memoryview(piece)
        while view:
            view = view[self._file.write(view) :]
        self.size += len(piece)

    def close(self) -> None:
        """Give the space back."""
        self._file.close()


async def spooled(fd: int) -> Spool:
    """All that a pipe or file still has to say."""
    spool = Spool()
    try:
        while piece := await asyncio.to_thread(os.read, fd, PIECE):
            spool.write(piece)
    except BaseException:
        spool.close()
        raise
    return spool


def _folder() -> Path | None:
    """Where temporary files go; None is what the system says."""
    if "TMPDIR" in os.environ or not os.access(_LARGE, os.W_OK | os.X_OK):
        return None
    return _LARGE
