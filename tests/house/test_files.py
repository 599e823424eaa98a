"""What is in the repository: nothing of one machine, nothing secret, every attack once."""

import ast
import re

from tests.house.tree import python_files, text, tracked, tree

BINARY = (".png", ".ico", ".gz", ".woff2")
VENDORED = (".min.js",)  # as they came; VENDORED.md has their hashes
TEXTS = [path for path in tracked() if not path.endswith(BINARY + VENDORED)]
# The brackets keep this file from failing its own test.
MACHINE_PATHS = re.compile(r"/[r]oot/|/[h]ome/\w|/[w]ork/|/[U]sers/")
INDEX_OPTIONS = re.compile(r"--(extra-)?[i]ndex-url|--[f]ind-links|--[t]rusted-host")
PACKAGE_HOSTS = re.compile(
    r"pythonhoste[d]|pyp[i]\.|npmj[s]\.|de[b]\.debian|proxy\.gol[a]ng|sum\.gol[a]ng"
)


def test_no_path_of_one_machine() -> None:
    assert [path for path in TEXTS if MACHINE_PATHS.search(text(path))] == []


def test_no_registry_of_packages_is_named() -> None:
    assert [path for path in TEXTS if INDEX_OPTIONS.search(text(path))] == []
    assert [path for path in TEXTS if PACKAGE_HOSTS.search(text(path))] == []


def test_files_end_with_a_line_end_and_have_no_carriage_returns() -> None:
    assert [path for path in TEXTS if "\r" in text(path)] == []
    assert [path for path in TEXTS if text(path) and not text(path).endswith("\n")] == []


def attacks() -> dict[str, set[str]]:
    """Id of RELIABILITY section 1 to the files that test it."""
    found: dict[str, set[str]] = {}
    for path in python_files("tests/attacks"):
        for node in tree(path).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
                "test_"
            ):
                match = re.match(r"test_([A-Z]\d{1,2})_[a-z]", node.name)
                assert match, f"{path}: {node.name} has no id"
                found.setdefault(match[1], set()).add(path)
    return found


def test_every_attack_is_tested_in_one_place() -> None:
    found = attacks()
    assert {one: paths for one, paths in found.items() if len(paths) > 1} == {}
    assert {"A1", "A3", "C1", "C2", "C5", "C6", "C7", "C10"} <= set(found)
    assert {"M1", "M2", "M3", "M5", "M6", "M7"} <= set(found)


def test_no_test_hides_another_of_the_same_name() -> None:
    for path in python_files("tests"):
        names = [getattr(node, "name", "") for node in tree(path).body]
        tests = [name for name in names if name.startswith("test_")]
        assert len(tests) == len(set(tests)), path
