"""`khod grants`: who may do what."""

from typing import Final

import click

from kho.oci.errors import NameInvalid
from kho.oci.reference import parse_name
from kho.server.commands.audit import iso
from kho.server.commands.operator import OPERATOR, Command, as_json, fail, operation, run, show
from kho.server.database.identities.grants import GrantRow
from kho.server.index.rights import grants
from kho.server.resources import Resources

_COLUMNS: Final = ("subject", "role", "pattern", "created_by", "created_at")


@click.group("grants")
def group() -> None:
    """Grants: a subject has a role on the repositories of a glob.

    Subjects are user:NAME, group:NAME, robot:NAME, everyone (all who signed in) and anonymous. In a
    glob * stands for part of a component and ** for any number of them: team/app, 'team/*',
    'team/**', '**'.
    """


def _a_grant(command: Command) -> Command:
    for name in ("glob", "role", "subject"):
        command = click.argument(name)(command)
    return command


@group.command("add")
@_a_grant
@operation
def add_command(*, subject: str, role: str, glob: str, **flags: object) -> None:
    """Give a role."""
    run(flags, lambda resources: grants.add(resources, subject, role, glob, by=OPERATOR))


@group.command("remove")
@_a_grant
@operation
def remove_command(*, subject: str, role: str, glob: str, **flags: object) -> None:
    """Take a role back."""
    run(flags, lambda resources: grants.remove(resources, subject, role, glob, by=OPERATOR))


@group.command("list")
@click.option("--subject", metavar="SUBJECT", help="Only what this one was given itself.")
@click.option("--repository", metavar="NAME", help="Only what counts for this repository.")
@as_json
@operation
def list_command(
    *, subject: str | None, repository: str | None, json_wanted: bool, **flags: object
) -> None:
    """List grants, the oldest first. For whole answers see `khod access` and `khod repos show`."""
    if repository is not None:
        try:
            parse_name(repository)
        except NameInvalid as error:
            fail(f"{repository[:80]!a} is {error.message}", code=2)

    async def work(resources: Resources) -> list[GrantRow]:
        if repository is None:
            return await grants.every(resources, subject)
        return await grants.on_repository(resources, repository, subject)

    rows = ({**row._asdict(), "created_at": iso(row.created_at)} for row in run(flags, work))
    show(rows, _COLUMNS, json_wanted=json_wanted)
