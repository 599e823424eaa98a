"""What differs between two stacks: files added, removed and changed, a page after another."""

from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from typing import Final

from kho.server.index.files.levels import Levels
from kho.server.index.files.squash import Node, View
from kho.server.index.files.stack import Stack
from kho.server.index.files.walk import pairs
from kho.server.inspection.packed import Entry, Kind
from kho.server.resources import Resources

# Names that one page looks at; when that is not enough, it has fewer items and says where to go on.
VISITS: Final = 100_000


class Change(Enum):
    """Of a name, from one stack to the other."""

    NONE = ""
    ADDED = "added"
    REMOVED = "removed"
    MODIFIED = "modified"


@dataclass(frozen=True, slots=True)
class Changed:
    """A path that differs. `what` says in what: kind, content, mode, owner, link."""

    path: bytes
    change: Change
    before: Node | None
    after: Node | None
    what: tuple[str, ...]

    @property
    def growth(self) -> int:
        """Bytes of the file more than before, perhaps negative; of a directory 0."""
        sizes = [
            node.entry.size if node and node.entry.kind is Kind.FILE else 0
            for node in (self.before, self.after)
        ]
        return sizes[1] - sizes[0]


@dataclass(frozen=True, slots=True)
class Differences:
    """A page of them; `next` is where the following one begins, None at the end."""

    items: tuple[Changed, ...]
    next: bytes | None


async def diff(
    resources: Resources, before: Stack, after: Stack, *, behind: bytes = b"", limit: int = 200
) -> Differences:
    """How `after` differs from `before`, as paths in their order behind the path `behind`.

    Times alone are no difference: an image that is built again has new ones.
    """
    levels = Levels(resources.database, (*before.ids, *after.ids))
    views = View(levels, before.ids), View(levels, after.ids)
    items: list[Changed] = []
    visits = 0
    async with aclosing(pairs(*views, behind)) as found:
        async for path, one, other in found:
            visits += 1
            item = compared(path, one, other)
            if item is not None:
                items.append(item)
            if len(items) >= limit or visits >= VISITS:
                return Differences(tuple(items), path)
    return Differences(tuple(items), None)


def compared(path: bytes, before: Node | None, after: Node | None) -> Changed | None:
    """How a name differs, None where it does not."""
    if before is None or after is None:
        change = Change.ADDED if before is None else Change.REMOVED
        return Changed(path, change, before, after, ())
    what = differing(before.entry, after.entry)
    return Changed(path, Change.MODIFIED, before, after, what) if what else None


def differing(before: Entry, after: Entry) -> tuple[str, ...]:
    """In what two entries differ; a directory that no layer describes is like any other."""
    if before.kind.is_directory and after.kind.is_directory:
        if Kind.IMPLIED in {before.kind, after.kind}:
            return ()
    elif before.kind is not after.kind:
        return ("kind",)
    found = {
        "content": before.kind is Kind.FILE
        and (before.size, before.sha256) != (after.size, after.sha256),
        "mode": before.mode != after.mode,
        "owner": (before.uid, before.gid) != (after.uid, after.gid),
        "link": before.link != after.link,
    }
    return tuple(name for name, differs in found.items() if differs)
