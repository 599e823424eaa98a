"""YAML as trees of text: bounded in size, depth and expansion, and without types.

What a scalar means is said by the setting that it is for: `no`, `0777` and `12:30` stay text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node

MOST_CHARACTERS: Final = 65_536
MOST_DEPTH: Final = 24
MOST_NODES: Final = 20_000
_NULLS: Final = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text, and where it was written; `empty` is YAML's null."""

    text: str
    source: str
    empty: bool = False


Tree: TypeAlias = Scalar | list["Tree"] | dict[str, "Tree"]


class NotYaml(Exception):
    """The text cannot be read; the message says where, never what stands there."""


def parse(text: str, source: str) -> Tree:
    """The tree of one document. Raises NotYaml."""
    import yaml  # noqa: PLC0415  most servers never need it

    if len(text) > MOST_CHARACTERS:
        raise NotYaml(f"is longer than {MOST_CHARACTERS} characters")
    try:
        _bounded(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (at line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise NotYaml(f"is not YAML{where}") from None
    except NotYaml:
        raise
    except Exception:  # noqa: BLE001  PyYAML itself stumbles over some texts, such as "\UFFFFFFFF"
        raise NotYaml("is not YAML") from None
    if root is None:
        return Scalar("", source, empty=True)
    return _Grown(source).tree(root, 0)


def _bounded(text: str) -> None:
    """Look at the nesting before anything recursive does."""
    import yaml  # noqa: PLC0415

    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MOST_DEPTH:
            raise NotYaml(f"is nested deeper than {MOST_DEPTH} levels")


class _Grown:
    """A tree that grows within bounds: aliases are copied, so each copy counts."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._nodes = 0

    def tree(self, node: "Node", depth: int) -> Tree:
        from yaml.nodes import MappingNode, ScalarNode, SequenceNode  # noqa: PLC0415

        self._nodes += 1
        if self._nodes > MOST_NODES or depth > MOST_DEPTH:
            raise NotYaml("grows too large by its aliases")
        if isinstance(node, MappingNode):
            return dict(self._entries(node, depth))
        if isinstance(node, SequenceNode):
            return [self.tree(one, depth + 1) for one in node.value]
        assert isinstance(node, ScalarNode)
        return Scalar(node.value, self._source, node.style is None and node.value in _NULLS)

    def _entries(self, node: "MappingNode", depth: int) -> Iterator[tuple[str, Tree]]:
        seen: set[str] = set()
        for key_node, value in node.value:
            where = f"(at line {key_node.start_mark.line + 1})"
            key = key_node.value
            if not isinstance(key, str):
                raise NotYaml(f"has a key that is not text {where}")
            if key in seen:
                raise NotYaml(f"has a key twice {where}")
            if key == "<<" and key_node.style is None:
                raise NotYaml(f"merges keys with <<, which is not supported {where}")
            seen.add(key)
            yield key, self.tree(value, depth + 1)
