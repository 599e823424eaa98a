"""`kho login HOST[/PATH]`."""

import sys
from typing import TYPE_CHECKING

import click

from kho.cli import exits
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire


@click.command("login")
@click.argument("host", default="docker.io")
@click.option("-u", "--username", metavar="NAME", help="Who; asked for where it is left out.")
@click.option("-p", "--password", metavar="SECRET", help="Better by --password-stdin.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@wired
async def command(
    wire: "Wire",
    host: str,
    username: str | None,
    password: str | None,
    *,
    password_stdin: bool,
) -> None:
    """Log in to a registry, or with another account to a part of it (HOST/PATH).

    The login is kept where docker keeps it: in config.json, or with its credential helper.
    """
    from kho.oci.reference import parse_host  # noqa: PLC0415
    from kho.remote.credentials import Credential, Kind  # noqa: PLC0415

    name, slash, path = host.removeprefix("https://").rstrip("/").partition("/")
    registry = wire.registry(parse_host(name))
    user, secret = _asked(username, password, password_stdin=password_stdin)
    credential = Credential(user, secret)
    token = await registry.login(credential)
    if token is not None and token.refresh is not None:
        credential = Credential(user, token.refresh, Kind.IDENTITY_TOKEN)
    place = await wire.keychain.store(registry.name + slash + path, credential)
    if await registry.challenge() is None:
        click.echo(f"kho: warning: {registry.name} asks nobody for a login", err=True)
    click.echo(f"Logged in to {registry.name}{slash}{path} as {user}; kept in {place}")


def _asked(username: str | None, password: str | None, *, password_stdin: bool) -> tuple[str, str]:
    if password_stdin:
        if password is not None:
            exits.fail("--password and --password-stdin exclude each other", exits.USAGE)
        if username is None:
            exits.fail("--password-stdin needs --username", exits.USAGE)
        password = sys.stdin.read().rstrip("\r\n")
    elif password is not None:
        click.echo("kho: warning: --password can be seen by others; use --password-stdin", err=True)
    if username is None:
        username = click.prompt("Username", err=True)
    if password is None:
        password = click.prompt("Password", hide_input=True, err=True)
    if not username or not password:
        exits.fail("user name and password must not be empty", exits.USAGE)
    return username, password
