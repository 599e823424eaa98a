"""Archives and engines as they are written.

docker-archive:FILE[:NAME[:TAG]]     oci-archive:FILE[:NAME]     docker-daemon:NAME[:TAG]

`-` as FILE is standard input or output. A file that is written is replaced, once it is whole.
"""

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from kho.client.archives.archive import Archive
from kho.client.archives.members import STDIN
from kho.client.archives.sink import FileSink, Sink, StreamSink, descriptor_writer
from kho.client.archives.target import ArchiveTarget, Form
from kho.client.errors import Misused
from kho.client.progress import SILENT, Progress
from kho.oci.reference import ReferenceInvalid

_STDOUT: Final = 1
DAEMON: Final = "docker-daemon"


@dataclass(frozen=True, slots=True)
class ArchivePlace:
    """A file, or an engine where `file` is empty; a name, where one is written."""

    scheme: str
    file: str
    name: str | None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read it; None where it is none of these. Raises ReferenceInvalid."""
        scheme, colon, rest = text.partition(":")
        if not colon or scheme not in (DAEMON, *(form.value for form in Form)):
            return None
        if scheme == DAEMON:
            file, name = "", rest
        else:
            file, _, name = rest.partition(":")
        if not (file or name) or (scheme != DAEMON and not file):
            wanted = "NAME" if scheme == DAEMON else "FILE[:NAME]"
            raise ReferenceInvalid(f"{text!a:.300} names nothing: expected {scheme}:{wanted}")
        return cls(scheme, file, name or None)

    def source(self, told: Progress = SILENT) -> Archive:
        """What is there; raise ReferenceInvalid."""
        if self.file:
            return Archive(self.file, self.scheme, told)
        from kho.client.archives.engine import Engine, EngineSource  # noqa: PLC0415

        return EngineSource(Engine.of_user(), self.name or "", told)

    def target(self) -> ArchiveTarget:
        """What is to be there at the end of `async with`; raise Misused."""
        if not self.file:
            from kho.client.archives.engine import Engine, EngineTarget  # noqa: PLC0415

            return EngineTarget(Engine.of_user(), self.name or "")
        name = f"{self.scheme}:{self.file}"
        target = ArchiveTarget(name, lambda: _sink(self.file), Form(self.scheme))
        if self.name is not None:
            target.full_name(self.name)
        return target


def _sink(file: str) -> Sink:
    if file == STDIN:
        if os.isatty(_STDOUT):
            raise Misused("an archive is nothing for a terminal: name a file, or redirect it")
        sys.stdout.flush()
        return StreamSink(descriptor_writer(_STDOUT))
    path = Path(file)
    if path.is_dir():
        raise Misused(f"{file} is a folder: name a file")
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        return _Device(path)
    return FileSink(path.resolve())


class _Device(StreamSink):
    """A pipe or device that has a name: written to, never replaced."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        super().__init__(descriptor_writer(self._fd))

    def discard(self) -> None:
        """Close it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
