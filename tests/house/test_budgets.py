"""Files and functions stay small enough to be read at once."""

import ast

import pytest

from tests.house.tree import functions, percentile, python_files, text, tree

FILE_LINES = 400
FUNCTION_LINES = 60
USUAL_FUNCTION_LINES = 30
USUAL_FILE_LINES = 250
ALL = ("kho", "tests", "bench")
NAMELESS = {"utils", "util", "common", "helpers", "helper", "base", "misc", "core"}


def test_the_rules_have_something_to_hold_on_to() -> None:
    assert len(python_files("kho")) > 40
    assert len(list(functions("kho"))) > 200


def test_no_file_is_long() -> None:
    sizes = {path: len(text(path).splitlines()) for path in python_files(*ALL)}
    assert {path: size for path, size in sizes.items() if size > FILE_LINES} == {}


def first_line_says_it(path: str) -> bool:
    """Whether a module begins with one line of text, then a blank one or nothing."""
    docstring = ast.get_docstring(tree(path), clean=False) or ""
    first, *rest = docstring.split("\n")
    return bool(first.strip()) and (not rest or not rest[0].strip())


def test_the_first_line_of_a_module_says_what_it_is() -> None:
    assert [path for path in python_files(*ALL) if not first_line_says_it(path)] == []


def test_files_are_usually_shorter() -> None:
    sizes = [len(text(path).splitlines()) for path in python_files("kho")]
    assert percentile(sizes, 0.9) <= USUAL_FILE_LINES


def test_no_function_is_long() -> None:
    assert [one for one in functions("kho", "bench") if one.lines > FUNCTION_LINES] == []


@pytest.mark.parametrize("folder", ["kho", "tests"])
def test_functions_are_usually_shorter(folder: str) -> None:
    assert percentile([one.lines for one in functions(folder)], 0.9) <= USUAL_FUNCTION_LINES


def test_a_file_has_a_name_that_says_something() -> None:
    nameless = [
        path for path in python_files(*ALL) if {*path.removesuffix(".py").split("/")} & NAMELESS
    ]
    assert nameless == []


def patches(node: ast.AST) -> bool:
    """Whether a test swaps something of a module; a bound, written in capitals, may be set."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr != "setattr":
            return False
        names = [one.value for one in node.args if isinstance(one, ast.Constant)]
        return not any(isinstance(name, str) and name.isupper() for name in names)
    if isinstance(node, ast.Import):
        return any("mock" in alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return "mock" in {node.module, *(alias.name for alias in node.names)}
    return False


def test_no_module_is_patched() -> None:
    found = [
        f"{path}:{getattr(node, 'lineno', 0)}"
        for path in python_files("tests", "bench")
        for node in ast.walk(tree(path))
        if patches(node)
    ]
    assert found == []
