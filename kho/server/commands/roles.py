"""`khod roles`: roles made of single actions."""

import json

import click

from kho.server.commands.operator import OPERATOR, as_json, operation, run, show
from kho.server.index.rights import roles
from kho.server.policy.access import ON_REPOSITORIES


@click.group("roles")
def group() -> None:
    """Roles: reader, writer, maintainer, admin and monitor, and others from single actions."""


@group.command("add")
@click.argument("name")
@click.option(
    "--actions",
    required=True,
    metavar="LIST",
    help=f"Divided by commas: {', '.join(ON_REPOSITORIES)}; * is all of them.",
)
@as_json
@operation
def add_command(*, name: str, actions: str, json_wanted: bool, **flags: object) -> None:
    """Create a role."""
    words = [word.strip() for word in actions.split(",") if word.strip()]
    role = run(flags, lambda resources: roles.add(resources, name, words, by=OPERATOR))
    if json_wanted:
        click.echo(json.dumps(role._asdict()))


@group.command("list")
@as_json
@operation
def list_command(*, json_wanted: bool, **flags: object) -> None:
    """List the roles, the built-in ones first."""
    rows = [role._asdict() for role in run(flags, roles.every)]
    show(rows, ("name", "built_in", "actions"), json_wanted=json_wanted)


@group.command("remove")
@click.argument("name")
@operation
def remove_command(*, name: str, **flags: object) -> None:
    """Remove a role that no grant gives."""
    run(flags, lambda resources: roles.remove(resources, name, by=OPERATOR))
