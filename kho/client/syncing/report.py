"""What became of each tag of a sync."""

from dataclasses import dataclass
from enum import Enum

from kho.oci.digest import Digest


class Action(Enum):
    """What becomes of a tag."""

    COPIED = "copied"
    SAME = "same"
    PRUNED = "pruned"
    YOUNG = "too young"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One tag of the target, or a whole repository or rule where `tag` is None and it failed."""

    action: Action
    source: str
    target: str
    tag: str | None = None
    digest: Digest | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All steps, in the order in which they ended."""

    steps: list[Step]

    def of(self, action: Action) -> list[Step]:
        """The steps that ended so."""
        return [one for one in self.steps if one.action is action]
