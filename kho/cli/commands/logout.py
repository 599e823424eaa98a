"""`kho logout HOST[/PATH]`."""

from typing import TYPE_CHECKING

import click

from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire


@click.command("logout")
@click.argument("host", default="docker.io")
@wired
async def command(wire: "Wire", host: str) -> None:
    """Forget the login to a registry, wherever it is kept."""
    if await wire.keychain.erase(host):
        click.echo(f"Logged out of {host}")
    else:
        click.echo(f"Not logged in to {host}")
