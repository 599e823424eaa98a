"""What errors say can be put into other languages: `make texts` finds each of their templates.

Held together here: the classes of errors, the keywords of `make texts`, and what is written where
errors are raised. That all of it is translated is tests/server/web/test_texts.py.
"""

import ast
import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from babel.util import pathmatch

import kho.server
from kho.oci.errors import Worded
from tests.house.tree import REPOSITORY

# Given by name to an error, and no part of its text.
BESIDE = {"detail", "headers", "retry_after"}
PLACE = re.compile(r"%\((\w+)\)s")
# Above others, or raised for clients alone.
NEVER_SHOWN = {"RegistryError", "ManifestError", "ManifestBlobUnknown", "Refused"}
ROOTS = (REPOSITORY / "kho/oci", REPOSITORY / "kho/server")


def keywords() -> set[str]:
    """The classes and functions whose first argument `make texts` gathers."""
    text = (REPOSITORY / "Makefile").read_text().replace("\\\n", "")
    found = re.search(r"^WORDED := (.+)$", text, re.MULTILINE)
    assert found
    return set(found[1].split())


def silent(path: Path) -> bool:
    """Whether no page shows what is raised there (`method = "ignore"` in pyproject.toml)."""
    tool = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["babel"]
    patterns = [one["pattern"] for one in tool["mappings"] if one["method"] == "ignore"]
    root = next(root for root in ROOTS if path.is_relative_to(root))
    return any(pathmatch(pattern, str(path.relative_to(root))) for pattern in patterns)


def name_of(call: ast.Call) -> str:
    """What is called, without where it is from."""
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def mistake(call: ast.Call) -> str:
    """Why a text cannot be found, or cannot be filled; "" where it can."""
    first = call.args[0] if call.args else None
    if isinstance(first, ast.Attribute) and first.attr == "template":
        return ""  # another error's words go on
    if isinstance(first, ast.Name) and first.id == "template":
        return ""
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return "the text is not written here, or is an f-string"
    places = set(PLACE.findall(first.value))
    given = {one.arg for one in call.keywords} - BESIDE
    if places != given:
        return f"the text has places for {sorted(places)}"
    if "%" in PLACE.sub("", first.value).replace("%%", ""):
        return "the text has a % that is no %(name)s"
    return ""


def mistakes(text: str, called: set[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and name_of(node) in called:
            wrong = mistake(node)
            if wrong:
                yield f"{node.lineno}: {ast.unparse(node)[:100]}: {wrong}"


def test_texts_of_errors_stand_where_they_are_raised() -> None:
    called = keywords()
    found = [
        f"{path.relative_to(REPOSITORY)}:{one}"
        for root in ROOTS
        for path in sorted(root.rglob("*.py"))
        if not silent(path)
        for one in mistakes(path.read_text(), called)
    ]
    assert found == []


def test_mistakes_are_seen() -> None:
    called = {"Conflict"}
    assert not list(mistakes('Conflict("a %(b)s", b=1, detail=2); Conflict(x.template)', called))
    for wrong in ('Conflict(f"a {b}")', "Conflict(TEXT)", 'Conflict("a %(b)s", c=1)'):
        assert len(list(mistakes(wrong, called))) == 1, wrong
    assert len(list(mistakes('Conflict("100% sure")', called))) == 1


def test_every_error_that_pages_show_is_gathered() -> None:
    for module in pkgutil.walk_packages(kho.server.__path__, "kho.server."):
        if not module.name.endswith("__main__") and ".migrations." not in module.name:
            importlib.import_module(module.name)
    shown = {
        one.__name__
        for one in below(Worded)
        if not silent(REPOSITORY / f"{one.__module__.replace('.', '/')}.py")
    }
    assert shown - NEVER_SHOWN - keywords() == set(), "name them in the Makefile: WORDED"


def below(kind: type) -> Iterator[type]:
    subclasses: list[type] = kind.__subclasses__()
    for one in subclasses:
        if one.__module__.startswith("kho."):
            yield one
            yield from below(one)
