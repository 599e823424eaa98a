"""F3: the order of a push, read from strace: bytes, name, folder, row, and only then the answer.

    pwrite64 uploads/<uuid> ─► fsync ─► rename to …/<hex>/data ─► fsync of its folder
    ─► pwrite64 kho.db-wal with the row ─► fsync kho.db-wal ─► "HTTP/1.1 201" on the socket

Each arrow means: the left call had returned before the right one was entered. A 202 asks for less
on SQLite: its row is written, so that it outlives a kill, and its bytes are flushed before that.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

CALLS: Final = (
    *("fsync", "fdatasync", "rename", "renameat", "renameat2", "pwrite64"),
    *("write", "writev", "sendto", "sendmsg", "read", "recvfrom"),
)
# A page of the database is 4 KiB, and the row may stand at its end.
STRACE: Final = (
    *("strace", "-f", "-y", "-ttt", "-s", "4200"),
    *("-e", "signal=none", "-e", f"trace={','.join(CALLS)}"),
)
_LINE: Final = re.compile(
    r"(\d+) +([\d.]+) (?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<call>\w+)\()(?P<rest>.*)"
)
_FILE: Final = re.compile(r"\d+<(?P<path>[^>]*)>")
_ANSWER: Final = re.compile(r'"HTTP/1\.1 (20[12]) ')
_LOCATION: Final = re.compile(r"\\r\\nlocation: (/v2/[^\\]+)\\r\\n")
_NAMES: Final = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that succeeded, from the line where it was entered to the line where it returned."""

    name: str
    begun: int
    ended: int
    text: str


def read(log: Path) -> Iterator[Call]:
    """The calls in the order in which they returned."""
    begun: dict[str, tuple[int, str]] = {}
    with log.open(errors="replace") as lines:
        for number, line in enumerate(lines):
            match = _LINE.match(line)
            if match is None:
                continue
            rest = match["rest"]
            if rest.endswith("<unfinished ...>"):
                begun[match[1]] = (number, rest.removesuffix("<unfinished ...>"))
                continue
            start = number
            if match["resumed"]:
                start, before = begun.pop(match[1], (number, ""))
                rest = before + rest
            if not re.search(r"\) += -1 ", rest):
                yield Call(match["call"] or match["resumed"], start, number, rest)


@dataclass
class Trace:
    """What the calls of one run were about; each list in the order of the trace."""

    writes: dict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))
    flushes: dict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))
    renames: dict[str, tuple[str, Call]] = field(default_factory=dict)
    rows: dict[str, list[tuple[str, Call]]] = field(default_factory=lambda: defaultdict(list))
    commits: dict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))
    answers: list[tuple[str, str, Call]] = field(default_factory=list)

    def add(self, call: Call) -> None:
        """File one call."""
        if call.name.startswith("rename"):
            source, target = (_last(one) for one in re.findall(r'"([^"]*)"', call.text)[:2])
            self.renames[target] = (source, call)
            return
        match = _FILE.match(call.text)
        if match is None:
            return
        path = match["path"]
        if call.name in {"fsync", "fdatasync"}:
            self.flushes[_last(path)].append(call)
        elif path.startswith(("socket:", "TCP:", "UNIX")):
            self._add_message(path, call)
        elif "write" in call.name:
            self.writes[_last(path)].append(call)
            if path.endswith("-wal"):
                self._add_rows(_last(path), call)

    def _add_rows(self, where: str, call: Call) -> None:
        for name in set(_NAMES.findall(call.text)):
            self.rows[name].append((where, call))

    def _add_message(self, path: str, call: Call) -> None:
        answer = _ANSWER.search(call.text)
        if call.name in {"read", "recvfrom"}:
            if r"COMMIT\0" in call.text:
                self.commits[path].append(call)
        elif answer is not None:
            location = _LOCATION.search(call.text)
            if location is not None:
                self.answers.append((answer[1], location[1], call))
        else:
            self._add_rows(path, call)


def _last(path: str) -> str:
    """What tells paths apart: a blob's folder is `<hex>`, its file `<hex>/data`."""
    parts = path.rsplit("/", 2)
    return "/".join(parts[-2:]) if parts[-1] == "data" else parts[-1]


def trace(calls: Iterable[Call]) -> Trace:
    """File all calls."""
    found = Trace()
    for call in calls:
        found.add(call)
    return found


def _first_after(calls: list[Call], moment: int) -> Call | None:
    """The first call that was entered after a moment."""
    return next((one for one in calls if one.begun > moment), None)


class Order:
    """Checks every answer of a trace; `wrong` says what came too early."""

    def __init__(self, found: Trace, database: str) -> None:
        self.trace = found
        self.database = database
        self.proven: Counter[str] = Counter()
        self.wrong: list[str] = []

    def check(self) -> None:
        """Every 201 and 202 with a Location."""
        for status, location, answer in self.trace.answers:
            kind, _, name = location.rpartition("/")
            name = name.removeprefix("sha256:")
            if kind.endswith("/manifests"):
                what, problem = "manifest", self._row(name, -1, answer)
            elif kind.endswith("/uploads"):
                what, problem = self._session(name, answer)
            else:
                what, problem = "blob", self._blob(name, answer)
            if problem:
                self.wrong.append(f"line {answer.begun + 1}: {status} {location}: {problem}")
            else:
                self.proven[what] += 1

    def _session(self, name: str, answer: Call) -> tuple[str, str]:
        """A new session needs its row; a chunk needs its bytes first, and flushed."""
        before = [one for one in self.trace.writes[name] if one.begun < answer.begun]
        if not before:
            return "session", self._row(name, -1, answer, lazy=True)
        flush = _first_after(self.trace.flushes[name], before[-1].ended)
        if flush is None or flush.ended > answer.begun:
            return "chunk", "the bytes were not flushed"
        return "chunk", self._row(name, flush.ended, answer, lazy=True)

    def _blob(self, name: str, answer: Call) -> str:
        renamed = self.trace.renames.get(f"{name}/data")
        if renamed is None:
            return "no rename gave it its name"
        source, rename = renamed
        writes = self.trace.writes[source]
        flush = _first_after(self.trace.flushes[source], writes[-1].ended) if writes else None
        if flush is None or flush.ended > rename.begun:
            return "the bytes were not flushed before they got their name"
        folder = _first_after(self.trace.flushes[name], rename.ended)
        if folder is None or folder.ended > answer.begun:
            return "the folder was not flushed after the rename"
        return self._row(name, folder.ended, answer)

    def _row(self, name: str, after: int, answer: Call, *, lazy: bool = False) -> str:
        """The row is written after a moment, and its transaction is safe before the answer.

        On SQLite a `lazy` row is safe enough in the log, which a later flush takes along.
        """
        for where, write in self.trace.rows[name]:
            if write.begun <= after or write.ended > answer.begun:
                continue
            if lazy and self.database == "sqlite":
                return ""
            safe = self.trace.flushes if self.database == "sqlite" else self.trace.commits
            done = _first_after(safe[where], write.ended)
            if done is not None and done.ended < answer.begun:
                return ""
        return "no row was safe in the database"
