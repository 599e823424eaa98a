"""`khod users`: accounts of people."""

import json
import sys
from typing import Final

import click

from kho.server.commands.audit import iso
from kho.server.commands.notices import say_first
from kho.server.commands.operator import OPERATOR, as_json, fail, operation, run, show
from kho.server.database.identities.accounts import AccountRow
from kho.server.index.people import accounts
from kho.server.index.people.accounts import Change, Known

_COLUMNS: Final = ("name", "source", "admin", "disabled", "email", "created_at", "last_login_at")


@click.group("users")
def group() -> None:
    """Accounts of people."""


def _with_password(command: click.decorators.FC) -> click.decorators.FC:
    return click.option(
        "--password-stdin", is_flag=True, help="Read the password from standard input."
    )(command)


@group.command("add")
@click.argument("name")
@_with_password
@click.option("--admin", is_flag=True, help="Make an administrator, who may do everything.")
@click.option("--email", metavar="ADDRESS", help="Where the user is reached.")
@as_json
@operation
def add_command(
    *,
    name: str,
    password_stdin: bool,
    admin: bool,
    email: str | None,
    json_wanted: bool,
    **flags: object,
) -> None:
    """Create an account. The password is asked for on a terminal, or read with --password-stdin."""
    password = _password(from_stdin=password_stdin)
    first = run(
        flags,
        lambda resources: accounts.add(
            resources, name, password, by=OPERATOR, admin=admin, email=email
        ),
    )
    if first:
        say_first()
    if json_wanted:
        known = run(flags, lambda resources: accounts.show(resources, name))
        click.echo(json.dumps(_told(known.account)))


@group.command("passwd")
@click.argument("name")
@_with_password
@operation
def passwd_command(*, name: str, password_stdin: bool, **flags: object) -> None:
    """Change a password, and end the user's sessions. Access tokens stay: see `khod tokens`."""
    password = _password(from_stdin=password_stdin)
    run(flags, lambda resources: accounts.set_password(resources, name, password, by=OPERATOR))


@group.command("list")
@as_json
@operation
def list_command(*, json_wanted: bool, **flags: object) -> None:
    """List the accounts."""
    rows = run(flags, accounts.every)
    show((_told(row) for row in rows), _COLUMNS, json_wanted=json_wanted)


@group.command("show")
@click.argument("name")
@as_json
@operation
def show_command(*, name: str, json_wanted: bool, **flags: object) -> None:
    """Show an account with its groups and grants."""
    known = run(flags, lambda resources: accounts.show(resources, name))
    if json_wanted:
        click.echo(json.dumps(_all_of(known)))
        return
    for key, value in _told(known.account).items():
        text = ("yes" if value else "no") if isinstance(value, bool) else value or "-"
        click.echo(f"{key:13}  {text}")
    click.echo(f"{'groups':13}  {', '.join(known.groups) or '-'}")
    for grant in known.grants:
        click.echo(f"{'grant':13}  {grant.role} on {grant.pattern}")


@group.command("set")
@click.argument("name")
@click.option("--admin/--no-admin", default=None, help="An administrator, or not.")
@click.option("--disable/--enable", "disabled", default=None, help="Shut out, or let in again.")
@click.option("--email", metavar="ADDRESS", help="Where the user is reached; '' for nowhere.")
@click.option("--force", is_flag=True, help="Even if no administrator is left.")
@as_json
@operation
def set_command(
    *,
    name: str,
    admin: bool | None,
    disabled: bool | None,
    email: str | None,
    force: bool,
    json_wanted: bool,
    **flags: object,
) -> None:
    """Change an account."""
    to = Change(admin, disabled, email)
    if to == Change():
        fail("nothing to set; give --admin, --no-admin, --disable, --enable or --email", code=2)
    account = run(
        flags, lambda resources: accounts.change(resources, name, to, by=OPERATOR, force=force)
    )
    if json_wanted:
        click.echo(json.dumps(_told(account)))


@group.command("remove")
@click.argument("name")
@click.option("--force", is_flag=True, help="Even if no administrator is left.")
@operation
def remove_command(*, name: str, force: bool, **flags: object) -> None:
    """Remove an account with its memberships, grants and tokens."""
    run(flags, lambda resources: accounts.remove(resources, name, by=OPERATOR, force=force))


def _password(*, from_stdin: bool) -> str:
    """What the operator gives; asked for twice on a terminal. There is no default."""
    least, most = accounts.PASSWORD_BYTES
    if from_stdin:
        given = sys.stdin.buffer.read(most + 3).removesuffix(b"\n").removesuffix(b"\r")
        try:
            return given.decode()
        except UnicodeDecodeError:
            fail("the password on standard input is not UTF-8", code=2)
    if not sys.stdin.isatty():
        fail(
            "there is no terminal to ask for a password, and there is no default one;"
            f" use --password-stdin ({least} to {most} bytes)",
            code=2,
        )
    password: str = click.prompt("Password", hide_input=True, err=True, confirmation_prompt=True)
    return password


def _told(account: AccountRow) -> dict[str, object]:
    last = account.last_login_at
    return {
        "name": account.name,
        "source": account.source,
        "admin": account.admin,
        "disabled": account.disabled,
        "email": account.email,
        "created_at": iso(account.created_at),
        "last_login_at": None if last is None else iso(last),
    }


def _all_of(known: Known) -> dict[str, object]:
    grants = [{"role": grant.role, "pattern": grant.pattern} for grant in known.grants]
    return {**_told(known.account), "groups": known.groups, "grants": grants}
