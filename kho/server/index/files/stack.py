"""The layers of an image: which of them are listed, and asking for those that are not."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from kho.oci.digest import Digest
from kho.oci.errors import BlobUnknown
from kho.server.database import layer_listings as rows
from kho.server.database.layer_listings import Listed
from kho.server.resources import Resources

# When so many attempts have failed, a look at the page asks for more after a day.
ATTEMPTS: Final = 3
_DAY_MS: Final = 24 * 3600 * 1000


class State(Enum):
    """Of the list of a layer's files."""

    UNASKED = "unasked"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    ABSENT = "absent"  # the repository does not have it: layers that are pulled from elsewhere


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. `files` counts names, `total_size` bytes of files; both 0 until it is listed.

    `reason` says why it was refused. `id` is that of its rows, None when there are none to read.
    `failed`: it was refused after so many attempts that circumstances may be to blame.
    """

    digest: Digest
    state: State
    reason: str
    files: int
    total_size: int
    stored_size: int
    id: int | None
    failed: bool = False

    @property
    def is_coming(self) -> bool:
        """Whether its files may be known later."""
        return self.state in {State.UNASKED, State.WAITING, State.RUNNING}


@dataclass(frozen=True, slots=True)
class Stack:
    """Layers on top of each other, the lowest first. Those that are not listed count as empty."""

    layers: tuple[Layer, ...]

    @property
    def unlisted(self) -> tuple[Layer, ...]:
        """Those whose files are not known; what is shown may be wrong without them."""
        return tuple(one for one in self.layers if one.id is None)

    @property
    def ids(self) -> tuple[int | None, ...]:
        """Of the rows, by position."""
        return tuple(one.id for one in self.layers)

    def below(self, count: int) -> "Stack":
        """The lowest `count` of them."""
        return Stack(self.layers[:count])


async def stack_of(
    resources: Resources, repository: str, digests: Sequence[Digest], *, sparse: bool = False
) -> Stack:
    """What is known of the layers. Raises BlobUnknown for one that the repository does not have.

    A `sparse` one may lack some, as images with layers of Windows do: they are ABSENT.
    Whether the caller may read the repository is the door's question.
    """
    known = await resources.database.read(rows.states, repository, digests)
    for digest in digests:
        if str(digest) not in known and not sparse:
            raise BlobUnknown("blob unknown to this repository", detail={"digest": str(digest)})
    return Stack(tuple(_layer(digest, known.get(str(digest))) for digest in digests))


async def ensure(resources: Resources, stack: Stack) -> bool:
    """Have those listed that nobody asked for, or that failed long ago; whether there are any."""
    if not resources.config.index.files:
        return False
    missing = [one.digest for one in stack.layers if one.state is State.UNASKED]
    if missing:
        await resources.database.write(rows.request, missing)
    again = False
    for one in stack.layers:
        if one.failed:
            again |= await resources.database.write(
                rows.request_again, one.digest, ATTEMPTS, _DAY_MS
            )
    return again or bool(missing)


def _layer(digest: Digest, row: Listed | None) -> Layer:
    if row is None:
        return Layer(digest, State.ABSENT, "", 0, 0, 0, None)
    state = State.UNASKED if row.state is None else State(row.state)
    return Layer(
        digest,
        state,
        row.reason or "",
        row.files or 0,
        row.total_size or 0,
        row.stored_size,
        row.id if state is State.DONE else None,
        state is State.REFUSED and (row.attempts or 0) >= ATTEMPTS,
    )
