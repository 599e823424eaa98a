"""`kho` as a program, run by a user of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from .processes import Outcome, outcome, refused, run

KHO = Path(sys.executable).with_name("kho")


class Kho:
    """One user: his home is a folder, where his logins and his local store are.

    `inside` is what a command begins with where it runs in another network.
    """

    def __init__(self, home: Path, inside: tuple[str, ...] = ()) -> None:
        self.home = home
        self.inside = inside
        home.mkdir(parents=True, exist_ok=True)
        self.store = home / "store"
        self.env = {
            "HOME": str(home),
            "KHO_STORE": str(self.store),
            "DOCKER_CONFIG": str(home / ".docker"),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "XDG_CONFIG_HOME": str(home / "config"),
        }

    def run(self, *words: str | Path, stdin: str | None = None, timeout: float = 180) -> str:
        """What it prints; it must succeed."""
        return run(*self.inside, KHO, *words, env=self.env, stdin=stdin, timeout=timeout)

    def raw(self, *words: str | Path) -> bytes:
        """The same, as bytes."""
        env = {**os.environ, **self.env}
        return subprocess.run(
            [*self.inside, KHO, *words], env=env, check=True, stdout=subprocess.PIPE, timeout=180
        ).stdout

    def json(self, *words: str | Path) -> Any:
        """The same with --json, read."""
        return json.loads(self.run(*words, "--json"))

    def refused(self, *words: str | Path) -> str:
        """What it says; it must fail."""
        return refused(*self.inside, KHO, *words, env=self.env)

    def ended(self, *words: str | Path, stdin: str | None = None) -> Outcome:
        """How it ended; it may fail."""
        return outcome(*self.inside, KHO, *words, env=self.env, stdin=stdin)
