"""A file of users with bcrypt hashes, as registry:2 has: `alice:$2y$05$...`, read again on change.

As there, blank lines and those that begin with `#` are nothing, and of two lines for one user the
last one counts. Lines with other hashes are skipped, which the log says once for each state of the
file.
"""

import asyncio
import hashlib
import os
import re
import stat
import time
from typing import Final, NamedTuple

from kho.server import telemetry
from kho.server.index.sources.passwords import bcrypt_cost
from kho.server.resources import Resources
from kho.server.threads import FileThreads

LOOK_SECONDS: Final = 1.0
MAX_BYTES: Final = 16 * 1024 * 1024
# More would be seconds of a core for each login.
COSTS: Final = range(4, 16)
ALLOWED: Final = "NAME:HASH with a bcrypt hash of cost 4 to 15, as `htpasswd -nB NAME` prints it"
NAMED_LINES: Final = 10
# A file may change twice in one tick of its clock: one that is this young is read again.
SETTLED_NS: Final = 2_000_000_000

_HASH: Final = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}", re.ASCII)
_State = tuple[int, int, int, int, int]


class Users(NamedTuple):
    """Hashes by name, and the greatest cost of them; None where there is no user."""

    hashes: dict[str, str]
    cost: int | None

    def named(self, *names: str) -> tuple[str, str] | None:
        """The first of the names that is there, with its hash."""
        return next(((name, self.hashes[name]) for name in names if name in self.hashes), None)


NOBODY: Final = Users({}, None)


class _File:
    """What this worker has read."""

    def __init__(self) -> None:
        self.path = ""
        self.users = NOBODY
        self.state: _State | None = None  # None: read it again
        self.digest = b""
        self.trouble = ""
        self.looked = -LOOK_SECONDS
        self.reading = asyncio.Lock()

    async def look(self, path: str, threads: FileThreads) -> Users:
        """The users now, or a second ago."""
        if path != self.path or time.monotonic() - self.looked >= LOOK_SECONDS:
            async with self.reading:
                if path != self.path or time.monotonic() - self.looked >= LOOK_SECONDS:
                    await threads.run(self._read, path)
        return self.users

    def _read(self, path: str) -> None:
        if path != self.path:
            self.path, self.state, self.digest = path, None, b""
        try:
            if self.state is None or _state_of(os.stat(path)) != self.state:
                self._take(path, *_content(path))
            self.trouble = ""
        except (OSError, ValueError) as error:
            text = str(error)
            if text != self.trouble:
                telemetry.log_event(
                    "htpasswd unreadable: nobody gets in by it", "error", error=text
                )
            self.trouble, self.state, self.digest, self.users = text, None, b"", NOBODY
        self.looked = time.monotonic()

    def _take(self, path: str, state: _State | None, content: bytes) -> None:
        self.state = state
        digest = hashlib.sha256(content).digest()
        if digest != self.digest:  # else nothing is new, and no warning is given twice
            self.digest, self.users = digest, parse(content, path)


async def users(resources: Resources) -> Users | None:
    """Who is in the file; None when none is configured. A file that cannot be read has nobody."""
    path = resources.config.auth.htpasswd
    if not path:
        return None
    memory = resources.memory
    return await memory.keep(_File).look(path, memory.keep(FileThreads))


def parse(content: bytes, path: str) -> Users:
    """Read the lines; those that are skipped are named in one warning."""
    hashes: dict[str, str] = {}
    skipped: list[int] = []
    for number, raw in enumerate(content.split(b"\n"), 1):
        line = raw.strip()
        if not line or line.startswith(b"#"):
            continue
        name, hashed = _split(line)
        if name:
            hashes[name] = hashed
        else:
            skipped.append(number)
    if skipped:
        telemetry.log_event(
            "htpasswd lines skipped",
            "warning",
            file=path,
            lines=skipped[:NAMED_LINES],
            count=len(skipped),
            allowed=ALLOWED,
        )
    return Users(hashes, max(map(bcrypt_cost, hashes.values()), default=None))


def _split(line: bytes) -> tuple[str, str]:
    """Name and hash; two empty texts for what is not allowed."""
    try:
        name, _, hashed = line.decode().partition(":")
    except UnicodeDecodeError:
        return "", ""
    found = _HASH.fullmatch(hashed)
    if found is None or int(found[1]) not in COSTS or not name.isprintable():
        return "", ""
    return name, hashed


def _state_of(found: os.stat_result) -> _State:
    return (found.st_ctime_ns, found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)


def _content(path: str) -> tuple[_State | None, bytes]:
    """The bytes, with the state of the very file they were read from; None: look again soon."""
    held = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(held)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{path!a} is not a file")
        with open(held, "rb", closefd=False) as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError(f"{path!a} is larger than {MAX_BYTES} bytes")
        state = _state_of(os.fstat(held))
    finally:
        os.close(held)
    settled = state == _state_of(found) and time.time_ns() - state[0] > SETTLED_NS
    return state if settled else None, content
