"""`khod groups`: groups of users."""

import json

import click

from kho.server.commands.audit import iso
from kho.server.commands.operator import OPERATOR, as_json, operation, run, show
from kho.server.index.people import groups


@click.group("groups")
def group() -> None:
    """Groups of users, which are given roles together."""


@group.command("add")
@click.argument("name")
@operation
def add_command(*, name: str, **flags: object) -> None:
    """Create a group."""
    run(flags, lambda resources: groups.add(resources, name, by=OPERATOR))


@group.command("remove")
@click.argument("name")
@operation
def remove_command(*, name: str, **flags: object) -> None:
    """Remove a group with its grants; its members stay as users."""
    run(flags, lambda resources: groups.remove(resources, name, by=OPERATOR))


@group.command("list")
@as_json
@operation
def list_command(*, json_wanted: bool, **flags: object) -> None:
    """List the groups."""
    rows = [
        {"name": row.name, "members": row.members, "created_at": iso(row.created_at)}
        for row in run(flags, groups.every)
    ]
    show(rows, ("name", "members", "created_at"), json_wanted=json_wanted)


@group.command("show")
@click.argument("name")
@as_json
@operation
def show_command(*, name: str, json_wanted: bool, **flags: object) -> None:
    """Show who is in a group, and who put them there: local (an operator), ldap or oidc."""
    members = run(flags, lambda resources: groups.members(resources, name))
    rows = [{"user": row.user_name, "source": row.source} for row in members]
    if json_wanted:
        click.echo(json.dumps({"name": name, "members": rows}))
    else:
        show(rows, ("user", "source"), json_wanted=False)


@group.command("add-member")
@click.argument("name", metavar="GROUP")
@click.argument("user")
@operation
def add_member_command(*, name: str, user: str, **flags: object) -> None:
    """Put a user into a group."""
    run(flags, lambda resources: groups.add_member(resources, name, user, by=OPERATOR))


@group.command("remove-member")
@click.argument("name", metavar="GROUP")
@click.argument("user")
@operation
def remove_member_command(*, name: str, user: str, **flags: object) -> None:
    """Take a user out of a group."""
    run(flags, lambda resources: groups.remove_member(resources, name, user, by=OPERATOR))
