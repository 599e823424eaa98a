"""`khod robots`: accounts of machines."""

import json

import click

from kho.server.commands.audit import iso
from kho.server.commands.notices import say_first
from kho.server.commands.operator import OPERATOR, as_json, fail, operation, run, show
from kho.server.database.identities.robots import RobotRow
from kho.server.index.people import robots

_COLUMNS = ("name", "description", "disabled", "created_at")


@click.group("robots")
def group() -> None:
    """Accounts of machines: they have access tokens or a trust rule, and no password."""


@group.command("add")
@click.argument("name")
@click.option("--description", metavar="TEXT", default="", help="What it is for.")
@as_json
@operation
def add_command(*, name: str, description: str, json_wanted: bool, **flags: object) -> None:
    """Create a robot. Give it a role (khod grants) and a token (khod tokens)."""
    if run(flags, lambda resources: robots.add(resources, name, description, by=OPERATOR)):
        say_first()
    if json_wanted:
        row = run(flags, lambda resources: robots.show(resources, name))
        click.echo(json.dumps(_told(row)))


group.add_command(add_command, "create")


@group.command("list")
@as_json
@operation
def list_command(*, json_wanted: bool, **flags: object) -> None:
    """List the robots."""
    rows = run(flags, robots.every)
    show((_told(row) for row in rows), _COLUMNS, json_wanted=json_wanted)


@group.command("show")
@click.argument("name")
@as_json
@operation
def show_command(*, name: str, json_wanted: bool, **flags: object) -> None:
    """Show a robot."""
    row = run(flags, lambda resources: robots.show(resources, name))
    if json_wanted:
        click.echo(json.dumps(_told(row)))
    else:
        show([_told(row)], _COLUMNS, json_wanted=False)


@group.command("set")
@click.argument("name")
@click.option("--disable/--enable", "disabled", default=None, help="Shut out, or let in again.")
@as_json
@operation
def set_command(*, name: str, disabled: bool | None, json_wanted: bool, **flags: object) -> None:
    """Shut a robot out, or let it in again."""
    if disabled is None:
        fail("nothing to set; give --disable or --enable", code=2)
    row = run(flags, lambda resources: robots.set_disabled(resources, name, disabled, by=OPERATOR))
    if json_wanted:
        click.echo(json.dumps(_told(row)))


@group.command("remove")
@click.argument("name")
@operation
def remove_command(*, name: str, **flags: object) -> None:
    """Remove a robot with its grants and tokens."""
    run(flags, lambda resources: robots.remove(resources, name, by=OPERATOR))


def _told(row: RobotRow) -> dict[str, object]:
    return {**row._asdict(), "created_at": iso(row.created_at)}
