"""What clients know of a registry that is killed all the time: acknowledged, or uncertain.

Each manifest, blob and tag of a repository is a register. A write that was answered has happened;
one whose connection broke may have. After each kill every register that was touched is read: it
must hold the last acknowledged value or that of a write that nobody is sure of.
"""

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Key = tuple[str, str, str]
"""Repository; manifest, blob or tag; digest or name."""

HERE = "here"
"""The value of a manifest or blob that is there; None is the value of whatever is not."""


@dataclass(eq=False, slots=True)
class Write:
    """One write from `start` to `end`; for ever, while nobody knows how it ended."""

    value: str | None
    start: float
    end: float = math.inf
    acknowledged: bool = False


@dataclass(slots=True)
class Register:
    """The writes that may still be the last one."""

    writes: list[Write] = field(default_factory=lambda: [Write(None, -math.inf, -1, True)])

    def allowed(self) -> set[str | None]:
        """What a read may find: no acknowledged write has begun after this one had ended."""
        latest = max((one.start for one in self.writes if one.acknowledged), default=-math.inf)
        self.writes = [one for one in self.writes if one.end >= latest]
        return {one.value for one in self.writes}

    def settle(self, value: str | None) -> None:
        """Nobody writes now, and this was read."""
        now = time.monotonic()
        self.writes = [Write(value, now, now, True)]


class Memory:
    """All registers, and which of them were touched since the last look."""

    def __init__(self) -> None:
        self.registers: dict[Key, Register] = {}
        self.touched: set[Key] = set()
        self.acknowledged = {"manifest": 0, "blob": 0, "tag": 0, "delete": 0}
        self.uncertain = 0
        self.busy = 0

    def value(self, key: Key) -> str | None:
        """The value of a register that one client alone writes, one request at a time."""
        register = self.registers.get(key)
        if register is None:
            return None
        values = register.allowed()
        assert len(values) == 1, (key, values)
        return values.pop()

    @contextmanager
    def writing(self, values: dict[Key, str | None]) -> Iterator[None]:
        """A request that writes these; acknowledged when it ends without an exception."""
        now = time.monotonic()
        made: list[Write] = []
        for key, value in values.items():
            register = self.registers.setdefault(key, Register())
            write = Write(value, now)
            register.writes.append(write)
            made.append(write)
        self.touched.update(values)
        try:
            yield
        except BaseException:
            self.uncertain += 1
            raise
        ended = time.monotonic()
        for (_, kind, _name), value in values.items():
            self.acknowledged[kind if value is not None else "delete"] += 1
        for write in made:
            write.end, write.acknowledged = ended, True

    def known(self, repository: str, kind: str) -> list[str]:
        """Names of what certainly is there; for the repository of one client."""
        return [
            name
            for (where, what, name), register in self.registers.items()
            if (where, what) == (repository, kind) and None not in register.allowed()
        ]

    def take_touched(self, more: Iterable[Key] = ()) -> set[Key]:
        """What is to be looked at now."""
        taken = {*self.touched, *more}
        self.touched = set()
        return taken
