"""`khod repos`: repositories and who may see them."""

import json
from typing import Final

import click

from kho.server.commands.audit import iso
from kho.server.commands.operator import OPERATOR, as_json, fail, operation, run, show
from kho.server.database.repositories import RepositoryRow
from kho.server.index.rights import repositories

_RIGHTS: Final = ("subject", "role", "actions", "because")


@click.group("repos")
def group() -> None:
    """Repositories and who may see them."""


@group.command("list")
@as_json
@operation
def list_command(*, json_wanted: bool, **flags: object) -> None:
    """List all repositories."""
    rows = run(flags, repositories.every)
    show(map(_told, rows), ("name", "public", "created_at"), json_wanted=json_wanted)


@group.command("show")
@click.argument("name")
@as_json
@operation
def show_command(*, name: str, json_wanted: bool, **flags: object) -> None:
    """Show a repository, and who may do what with it."""
    known = run(flags, lambda resources: repositories.show(resources, name))
    rights = [right._asdict() for right in known.rights]
    if json_wanted:
        click.echo(json.dumps({**_told(known.repository), "rights": rights}))
        return
    seen = "public: anybody may pull" if known.repository.public else "private"
    click.echo(f"{name} is {seen}")
    show(rights, _RIGHTS, json_wanted=False)


@group.command("set")
@click.argument("name")
@click.option("--public/--private", default=None, help="Anybody may pull, or only who has a grant.")
@as_json
@operation
def set_command(*, name: str, public: bool | None, json_wanted: bool, **flags: object) -> None:
    """Open a repository to all, or close it. A public one may be named before its first push."""
    if public is None:
        fail("nothing to set; give --public or --private", code=2)
    row = run(
        flags, lambda resources: repositories.set_public(resources, name, public, by=OPERATOR)
    )
    if json_wanted:
        click.echo(json.dumps(_told(row)))


def _told(row: RepositoryRow) -> dict[str, object]:
    return {**row._asdict(), "created_at": iso(row.created_at)}
