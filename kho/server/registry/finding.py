"""One thing that is wrong, and the run of a check that finds it."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from kho.server.resources import Resources


@dataclass(frozen=True, slots=True)
class Finding:
    """`kind` is one of docs/operate/fsck.md; `repair` what is done about it, "" for nothing.

    `mend` does it, unless things have changed since; whether it did.
    """

    kind: str
    where: str
    what: str
    repair: str
    mend: Callable[[], Awaitable[bool]] | None = None
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """A run: what to look at and how closely.

    `quick` does not read the bytes of blobs. What nobody claims and is younger than `min_age`
    seconds may belong to a push that is under way. `progress` is told what was counted. A `gentle`
    one looks at one thing at a time, and rests as long as it has worked.
    """

    resources: Resources
    quick: bool = False
    min_age: float = 3600.0
    gentle: bool = False
    progress: Callable[[Counter[str]], None] = lambda _: None
    counted: Counter[str] = field(default_factory=Counter)

    def count(self, name: str, amount: int) -> None:
        """So many more were looked at."""
        self.counted[name] += amount
        self.progress(self.counted)
