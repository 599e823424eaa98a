"""What is attached to an image, as a tree that fits on a page."""

from collections.abc import Sequence
from itertools import islice
from typing import Final, NamedTuple

from kho.server.registry.contents.attached import Node, Tree
from kho.server.web.ui import room

# Bytes of one tree; a page may have two, of an index and of the image in it.
ROOM: Final = 45_000
_ROW: Final = 450
_NOTES: Final = 20
_NAME: Final = 100
_VALUE: Final = 200


class Row(NamedTuple):
    """A node; `notes` are some of its annotations, `notes_in_all` counts them."""

    node: Node
    type: str
    notes: list[tuple[str, str]]
    notes_in_all: int
    rows: list["Row"]


class Shown(NamedTuple):
    """A tree of rows; `more`: not all that is attached."""

    rows: list[Row]
    more: bool


class _Room:
    """What is left of a page."""

    def __init__(self) -> None:
        self.left = ROOM

    def take(self, *texts: str, row: int = 0) -> bool:
        """Whether there was room for it."""
        self.left -= row + sum(map(room.weight, texts))
        return self.left >= 0


def shown(tree: Tree) -> Shown:
    """As much of it as fits, whole branches after each other."""
    space = _Room()
    rows = _rows(tree.nodes, space)
    return Shown(rows, tree.more or space.left < 0)


def _rows(nodes: Sequence[Node], space: _Room) -> list[Row]:
    found: list[Row] = []
    for node in nodes:
        type_ = (node.artifact_type or node.media_type)[:_NAME]
        if not space.take(type_, type_, row=_ROW):
            break
        annotations = node.annotations or {}
        notes: list[tuple[str, str]] = []
        for name, value in islice(annotations.items(), _NOTES):
            pair = name[:_NAME], value[: 2 * _VALUE]
            if space.left < ROOM // 2 or not space.take(*pair, row=50):
                break
            notes.append(pair)
        found.append(Row(node, type_, notes, len(annotations), _rows(node.referrers, space)))
    return found
