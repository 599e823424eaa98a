"""What a transfer tells while it runs; whoever shows it overrides what he shows."""

from enum import Enum

from kho.oci.manifest import Descriptor


class Outcome(Enum):
    """How content came to be where it is."""

    COPIED = "copied"
    PRESENT = "already there"
    MOUNTED = "mounted"
    SKIPPED = "left out"


class Progress:
    """Tells nobody."""

    def begin(self, content: Descriptor) -> None:
        """A blob is about to be moved."""

    def move(self, content: Descriptor, start: int) -> None:
        """Its bytes begin to flow at `start`: more than 0 where it goes on with an earlier run."""

    def advance(self, content: Descriptor, count: int) -> None:
        """So many bytes have flowed; less than none where they have to flow again."""

    def end(self, content: Descriptor, outcome: Outcome) -> None:
        """It is there."""

    def note(self, text: str) -> None:
        """Something that a patient user may want to know: a retry, a rest."""


SILENT = Progress()
