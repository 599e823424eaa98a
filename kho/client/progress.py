"""What a transfer tells while it runs, and how fast it may be; whoever shows it overrides that."""

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kho.client.rate import Rate
    from kho.oci.manifest import Descriptor


class Outcome(Enum):
    """How content came to be where it is."""

    COPIED = "copied"
    PRESENT = "already there"
    MOUNTED = "mounted"
    SKIPPED = "left out"


class Progress:
    """Tells nobody."""

    # Shared by all transfers that tell it here; None is as fast as it goes.
    rate: "Rate | None" = None

    def begin(self, content: "Descriptor") -> None:
        """A blob is about to be moved."""

    def move(self, content: "Descriptor", start: int) -> None:
        """Its bytes begin to flow at `start`: more than 0 where it goes on with an earlier run."""

    def advance(self, content: "Descriptor", count: int) -> None:
        """So many bytes have flowed; less than none where they have to flow again."""

    def end(self, content: "Descriptor", outcome: Outcome) -> None:
        """It is there."""

    def note(self, text: str) -> None:
        """Something that a patient user may want to know: a retry, a rest."""


SILENT = Progress()
