"""Which revision of the schema a database has, and the SQL that brings it to the newest.

Alembic (a third of a second to import) is loaded only when a step must run. It writes the SQL of
the steps; the connection that holds the lock executes it, in one transaction.
"""

import re
from enum import Enum
from io import StringIO
from pathlib import Path
from typing import Final

from kho.server.database.errors import UnusableDatabase
from kho.server.database.schema import REVISION

VERSION_QUERY: Final = "SELECT version_num FROM alembic_version"
_OURS: Final = re.compile(r"[0-9]{4}", re.ASCII)
_MIGRATIONS: Final = Path(__file__).parent.parent / "migrations"


class SchemaState(Enum):
    """A database beside this program."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


def judge(stored: str | None, *, tables: int) -> SchemaState:
    """The state of a database with that revision and so many tables of its own."""
    if stored is None and tables == 0:
        return SchemaState.EMPTY
    if stored is None or not _OURS.fullmatch(stored):
        raise UnusableDatabase(
            "the database holds tables of another program; give khod one of its own"
        )
    if stored == REVISION:
        return SchemaState.CURRENT
    return SchemaState.OLDER if stored < REVISION else SchemaState.NEWER


def refuse_newer(stored: str | None) -> UnusableDatabase:
    """What to say of a database that a newer program has changed."""
    return UnusableDatabase(
        f"the database is newer than this program (revision {stored}, known up to {REVISION}); "
        "install the newer version of kho again, nothing was touched"
    )


def refuse_unready(state: SchemaState, stored: str | None) -> UnusableDatabase:
    """What to say of a database that cannot be opened as it is."""
    if state is SchemaState.NEWER:
        return refuse_newer(stored)
    return UnusableDatabase(f"the database is {state.value}: run `khod migrate` first")


def upgrade(dialect: str, stored: str | None) -> list[str]:
    """The statements from the stored revision (None: nothing there) to the newest."""
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    buffer = _Statements()
    config = Config(output_buffer=buffer)
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("dialect", dialect)
    command.upgrade(config, f"{stored or 'base'}:head", sql=True)
    return buffer.statements


class _Statements(StringIO):
    """Takes the place of a file: Alembic writes one statement at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.statements: list[str] = []

    def write(self, text: str) -> int:
        statement = text.strip().removesuffix(";")
        if statement and not statement.startswith("--"):
            self.statements.append(statement)
        return len(text)
