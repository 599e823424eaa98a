"""What the access log says was asked: khod's JSON lines, or distribution's combined log."""

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_COMBINED = re.compile(
    r'^\S+ \S+ \S+ \[[^]]*\] "(?P<method>[A-Z]+) (?P<path>\S+) HTTP/[0-9.]+" (?P<status>\d{3}) '
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered request."""

    method: str
    path: str
    status: int

    @property
    def is_upload(self) -> bool:
        """Whether it opened, fed or finished the upload of a blob."""
        return self.method in {"POST", "PATCH", "PUT"} and "/blobs/uploads" in self.path

    @property
    def is_mount(self) -> bool:
        """Whether the upload was complete when opened: the blob came from elsewhere."""
        opened = self.method == "POST" and self.path.rstrip("/").endswith("/blobs/uploads")
        return opened and self.status == 201


class AccessLog:
    """A growing log file, read from a place that was marked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> int:
        """The end of the log, after what was under way has been written."""
        size = -1
        deadline = time.monotonic() + 5
        while size != (size := self._path.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.3)
        return size

    def since(self, mark: int) -> list[Entry]:
        """The requests answered after the mark."""
        end = self.mark()
        with self._path.open("rb") as log:
            log.seek(mark)
            lines = log.read(end - mark).decode(errors="replace").splitlines()
        return [entry for line in lines if (entry := _parsed(line))]


def assert_nothing_uploaded(entries: list[Entry]) -> None:
    """The client asked, and sent no blob."""
    assert entries, "the access log shows no request at all"
    uploads = [entry for entry in entries if entry.is_upload]
    assert uploads == [], uploads


def assert_mounted(entries: list[Entry], repository: str, layers: int) -> None:
    """Each layer came from another repository; at most a config blob was sent."""
    mounted = [entry for entry in entries if entry.is_mount and f"/{repository}/" in entry.path]
    sent = [entry for entry in entries if entry.method == "PUT" and entry.is_upload]
    assert len(mounted) >= layers, entries
    assert len(sent) <= 1, sent


def _parsed(line: str) -> Entry | None:
    if match := _COMBINED.match(line):
        return Entry(match["method"], urlsplit(match["path"]).path, int(match["status"]))
    try:
        fields = json.loads(line)
        return Entry(fields["method"], urlsplit(fields["path"]).path, int(fields["status"]))
    except (ValueError, KeyError, TypeError):
        return None
