"""What the operator's commands share: their flags, open resources, tables, exit codes.

0 done    1 failed    2 wrong usage or configuration    3 no such thing    5 there is one already
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeVar

import click

from kho.oci.errors import RegistryError
from kho.server import telemetry
from kho.server.config import Config, ConfigError, load
from kho.server.index import audit
from kho.server.index.errors import Conflict, Invalid, NotFound, Refused
from kho.server.resources import Resources, open_resources

Flags = dict[str, object]
Command = Callable[..., Any]
T = TypeVar("T")

# The actor of what is done from a shell beside the server.
OPERATOR: Final = "operator"
EXIT_CODES: Final = ((NotFound, 3), (Conflict, 5), (Invalid, 2))

_WHERE: Final = (
    ("config", "FILE", "Settings in TOML; also KHO_CONFIG."),
    ("data", "DIR", "Folder of everything that the server keeps  [./data]."),
    ("database", "URL", "Where rows are kept  [kho.db in the data folder]."),
)


def operation(command: Command) -> Command:
    """Add the flags that say which registry is meant: --config, --data, --database."""
    for name, metavar, text in reversed(_WHERE):
        command = click.option(f"--{name}", metavar=metavar, help=text)(command)
    return command


def as_json(command: Command) -> Command:
    """Add --json, as the argument `json_wanted`."""
    return click.option("--json", "json_wanted", is_flag=True, help="JSON on one line.")(command)


def configuration(flags: Flags) -> Config:
    """Read the settings, or end with every mistake and exit code 2."""
    try:
        return load(flags, os.environ)
    except ConfigError as error:
        fail(str(error), code=2)


def run(flags: Flags, work: Callable[[Resources], Awaitable[T]]) -> T:
    """Do `work` on the registry that the flags name, whether it is being served or not.

    A refusal ends the program with its text and exit code.
    """
    config = configuration(flags)
    from kho.server.serve import CannotStart, prepare_data  # noqa: PLC0415

    async def opened() -> T:
        async with open_resources(config) as resources:
            done = await work(resources)
            await audit.flush(resources)
            return done

    telemetry.configure("warning", "text", access=False)
    try:
        prepare_data(config)
        return asyncio.run(opened())
    except Refused as error:
        code = next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)
        fail(str(error), code=code)
    except CannotStart as error:
        fail(str(error))
    except RegistryError as error:
        fail(error.message)


def show(
    rows: Iterable[Mapping[str, object]], columns: Sequence[str], *, json_wanted: bool
) -> None:
    """Print a table, or one JSON list with all keys."""
    found = list(rows)
    if json_wanted:
        click.echo(json.dumps(found))
        return
    cells = [[_text(row.get(column)) for column in columns] for row in found]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for line in ([column.upper() for column in columns], *cells):
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


def fail(text: str, code: int = 1) -> NoReturn:
    """Say what is wrong and end."""
    click.echo(f"khod: {text}", err=True)
    sys.exit(code)
