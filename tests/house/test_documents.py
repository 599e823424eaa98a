"""The documents say what the program does."""

import posixpath
import re
import shlex
from collections.abc import Iterator

import click
import pytest

from kho.cli.main import main as kho
from kho.server.cli import main as khod
from kho.server.config import settings_page
from kho.server.settings import SETTINGS
from kho.server.web.api import handbook
from kho.server.web.api.openapi import document
from kho.server.web.api.table import OPERATIONS
from tests.house.tree import text, tracked

PROGRAMS: dict[str, click.Command] = {"kho": kho, "khod": khod}
DOCUMENTS = [path for path in tracked() if path.endswith(".md")]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fenced(path: str) -> list[str]:
    """The lines of the shell blocks of a document."""
    blocks = [
        body for kind, body in _FENCE.findall(text(path)) if kind in {"sh", "console", "bash"}
    ]
    joined = "".join(blocks).replace("\\\n", " ")
    lines = [line.strip().removeprefix("$ ") for line in joined.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def quoted(path: str) -> list[str]:
    """What stands in single backticks and begins with a program of ours, or make."""
    found: list[str] = re.findall(r"`((?:make|khod?) [a-z-][^`\n]*)`", _FENCE.sub("", text(path)))
    return found


def targets() -> set[str]:
    """The targets that `make help` lists."""
    return set(re.findall(r"^([a-z-]+):.*## ", text("Makefile"), re.MULTILINE))


def words_of(line: str) -> Iterator[list[str]]:
    """The simple commands of a line, without what sets variables."""
    for part in re.split(r"&&|\|\||[;|]", line):
        words = shlex.split(part, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            variable = words.pop(0).partition("=")[0]
            known = {one.variable for one in SETTINGS.values()} | {"KHO_CONFIG"}
            known |= {f"{one.variable}_FILE" for one in SETTINGS.values() if one.url}
            ours = variable.startswith("KHO_") and not variable.startswith(
                ("KHO_TEST", "KHO_INTEROP")
            )
            assert not ours or variable in known, f"{variable} is no setting"
        if words:
            yield words


def check_program(words: list[str]) -> None:
    """Follow the sub-commands, then look every option up."""
    command = PROGRAMS[words[0].rpartition("/")[2]]
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(click.Context(command), rest[0])
        assert found is not None, f"{words}: no such command"
        command, rest = found, rest[1:]
    known = {"--help", "-h"}
    known |= {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    used = {word.partition("=")[0] for word in rest if word.startswith("-")}
    assert used <= known, f"{words}: no such option"


def check_line(line: str) -> None:
    """A line of a document uses only what exists."""
    for words in words_of(line):
        program = words[0].rpartition("/")[2]
        if program in PROGRAMS:
            check_program(words)
        elif program == "make":
            named = {word for word in words[1:] if "=" not in word and not word.startswith("-")}
            assert named <= targets(), f"{line}: no such target"


def test_every_command_in_a_document_exists() -> None:
    for path in DOCUMENTS:
        for line in [*fenced(path), *quoted(path)]:
            check_line(line)


def test_the_check_can_fail() -> None:
    for line in ("make coffee", "khod brew", "khod serve --hot", "KHO_COFFEE=1 khod serve"):
        with pytest.raises(AssertionError):
            check_line(line)


def test_the_readme_names_the_two_commands_and_every_target() -> None:
    assert fenced("README.md")[:2] == ["make serve", "make test"]
    for target in targets() - {"help", "format", "lock"}:
        assert f"make {target}" in text("README.md"), target


def headings(path: str) -> list[int]:
    """The levels of the headings of a document, in order."""
    bare = _FENCE.sub("", text(path))
    return [len(marks) for marks in re.findall(r"^(#+) ", bare, re.MULTILINE)]


def test_the_vietnamese_readme_keeps_in_step() -> None:
    assert headings("README.vi.md") == headings("README.md")
    assert fenced("README.vi.md") == fenced("README.md")
    pages = {"README.md", "README.vi.md"}
    english, vietnamese = (set(re.findall(r"\]\(([^)#]+)", text(path))) for path in sorted(pages))
    assert english - pages == vietnamese - pages


def links(path: str) -> Iterator[str]:
    """The files that a document links to."""
    folder = path.rpartition("/")[0]
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", _FENCE.sub("", text(path))):
        if "://" not in target and not target.startswith("mailto:"):
            yield posixpath.normpath(posixpath.join(folder, target))


def test_every_link_to_a_file_leads_somewhere() -> None:
    known = {*tracked(), *(one.rpartition("/")[0] for one in tracked())}
    broken = [(path, to) for path in DOCUMENTS for to in links(path) if to not in known]
    assert broken == []


def test_every_setting_is_documented() -> None:
    assert text("docs/settings.md") == settings_page(), "make it again: khod config docs"
    for setting in SETTINGS.values():
        assert f"`{setting.variable}`" in settings_page()
        assert setting.help.endswith(".")


def test_every_operation_is_documented() -> None:
    made = handbook.page(document(OPERATIONS))
    assert text("docs/use/api.md") == made, "make it again: khod openapi --page"


def test_the_version_is_in_the_changelog() -> None:
    assert re.search(r"^## \[?(Unreleased|\d+\.\d+\.\d+)", text("CHANGELOG.md"), re.MULTILINE)
