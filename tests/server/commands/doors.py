"""The operator's door for these tests: a registry on a folder, and commands on it."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from kho.server.cli import main

PASSWORD = "correct horse"


@dataclass(frozen=True)
class Door:
    """Runs `khod` on one registry."""

    flags: tuple[str, ...]

    def __call__(self, line: str, given: bytes | str | None = None) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command."""
        clean = {name: None for name in os.environ if name.startswith(("KHO_", "REGISTRY_"))}
        told = CliRunner().invoke(main, [*line.split(), *self.flags], input=given, env=clean)
        assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
        return told.exit_code, told.stdout, told.stderr

    def done(self, *lines: str) -> None:
        """Commands that print nothing and succeed."""
        for line in lines:
            assert self(line) == (0, "", ""), line

    def read(self, line: str) -> Any:
        """What a command prints as JSON."""
        code, told, error = self(f"{line} --json")
        assert (code, error) == (0, ""), error
        return json.loads(told)

    def refused(self, line: str, code: int, text: str, given: str | None = None) -> None:
        """A command that fails with one line that holds the text."""
        found, told, error = self(line, given)
        assert (found, told) == (code, ""), (line, error)
        assert error.startswith(("khod: ", "Usage: ")), error
        assert text in error
        assert error.startswith("Usage: ") or error.count("\n") == 1

    def user(self, name: str, more: str = "") -> None:
        """Add a user with the password of these tests."""
        code, told, error = self(f"users add {name} --password-stdin {more}", PASSWORD)
        assert (code, told) == (0, ""), error


def door(data: Path, more: Iterable[str] = ()) -> Door:
    """The one of a data folder."""
    return Door(("--data", str(data), *more))
