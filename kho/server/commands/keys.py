"""`khod keys`: the keys that sign the tokens of /token."""

import click

from kho.server.commands.audit import iso
from kho.server.commands.operator import OPERATOR, as_json, operation, run, show
from kho.server.index.tokens import keys
from kho.server.index.tokens.keys import ListedKey

_COLUMNS = ("kid", "algorithm", "use", "created_at", "retires_at")


@click.group("keys")
def group() -> None:
    """Keys that sign tokens; the public halves are at /token/jwks.json."""


@group.command("list")
@as_json
@operation
def list_command(*, json_wanted: bool, **flags: object) -> None:
    """List the keys whose tokens are believed, the newest first."""
    show(map(_told, run(flags, keys.list_keys)), _COLUMNS, json_wanted=json_wanted)


@group.command("rotate")
@click.option(
    "--drop-old",
    is_flag=True,
    help="Believe no token of the old keys from now on, after a leak; clients fetch new ones.",
)
@operation
def rotate_command(*, drop_old: bool, **flags: object) -> None:
    """Make a new key, and print its kid; tokens of the old one are believed until they end."""
    click.echo(
        run(flags, lambda resources: keys.rotate(resources, by=OPERATOR, overlap=not drop_old))
    )


def _told(row: ListedKey) -> dict[str, object]:
    return {
        "kid": row.kid,
        "algorithm": row.algorithm,
        "use": "signs" if row.retires_at is None else "verifies",
        "created_at": iso(row.created_at),
        "retires_at": None if row.retires_at is None else iso(row.retires_at),
    }
