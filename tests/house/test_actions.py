"""The audit trail's document lists the actions that the code records, and no others."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.house.tree import python_files, text, tree

PAGE = "docs/operate/audit.md"


def listed() -> list[str]:
    """The first column of the table."""
    table = text(PAGE).partition("\n## Actions\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([a-z.-]+)` \|", table, re.MULTILINE)


def called(node: ast.Call) -> str:
    """`record` of `trail.record(...)`, with its module where it has one."""
    if isinstance(node.func, ast.Attribute):
        owner = node.func.value.id if isinstance(node.func.value, ast.Name) else "?"
        return f"{owner}.{node.func.attr}"
    return node.func.id if isinstance(node.func, ast.Name) else "?"


def given(node: ast.Call, position: int) -> ast.expr | None:
    """The argument that is the action."""
    if len(node.args) > position:
        return node.args[position]
    return next((one.value for one in node.keywords if one.arg == "action"), None)


def constants(value: ast.expr | None) -> list[str] | None:
    """What the argument can be; None when that cannot be seen."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return [value.value]
    if isinstance(value, ast.IfExp):
        both = constants(value.body), constants(value.orelse)
        return None if None in both else [*(both[0] or []), *(both[1] or [])]
    return None


def calls(modules: dict[str, ast.Module]) -> Iterator[tuple[str, str, list[str], ast.Call]]:
    """Each call in a function: the file, the function, its parameters, the call."""
    for path, module in modules.items():
        for one in ast.walk(module):
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                parameters = [argument.arg for argument in one.args.args]
                for node in ast.walk(one):
                    if isinstance(node, ast.Call):
                        yield path, one.name, parameters, node


def recorded(modules: dict[str, ast.Module]) -> tuple[set[str], list[str]]:
    """The actions that reach an Event, through functions that pass them on; and what is unseen."""
    known = {(path, name): 0 for path in modules for name in ("Event", "audit.Event")}
    while True:
        actions: set[str] = set()
        unseen: list[str] = []
        before = len(known)
        for path, function, parameters, node in calls(modules):
            position = known.get((path, called(node)))
            value = None if position is None else given(node, position)
            found = constants(value)
            if found is not None:
                actions.update(found)
            elif isinstance(value, ast.Name) and value.id in parameters:
                name = path.rpartition("/")[2].removesuffix(".py")
                known[path, function] = parameters.index(value.id)
                known |= {(other, f"{name}.{function}"): known[path, function] for other in modules}
            elif position is not None:
                unseen.append(f"{path}:{node.lineno}")
        if len(known) == before:
            return actions, unseen


def test_every_action_is_documented() -> None:
    modules = {path: tree(path) for path in python_files("kho/server")}
    actions, unseen = recorded(modules)
    assert unseen == []
    assert len(actions) > 10
    assert listed() == sorted(actions)


@pytest.mark.parametrize(
    "code, expected",
    [
        ("def f():\n Event('a.b')", ({"a.b"}, [])),
        ("def f():\n audit.Event(action='a.b')", ({"a.b"}, [])),
        ("def f(x):\n Event('a' if x else 'b')", ({"a", "b"}, [])),
        ("def f(x):\n Event(g(x))", (set(), ["m.py:2"])),
        ("def f(x):\n Event(f'user.{x}')", (set(), ["m.py:2"])),
        ("def g(a, x):\n Event(x)\ndef f():\n g(1, 'c')\n h.g(1, 'd')", ({"c"}, [])),
        ("def g(x):\n Event(x)\ndef h(y):\n g(y)\ndef f():\n h('c')\n m.h('d')", ({"c", "d"}, [])),
    ],
)
def test_the_check_sees_actions(code: str, expected: tuple[set[str], list[str]]) -> None:
    assert recorded({"m.py": ast.parse(code)}) == expected
