"""`kho ping HOST`."""

from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire


@click.command("ping")
@click.argument("host")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@wired
async def command(wire: "Wire", host: str, *, as_json: bool) -> None:
    """Tell whether a registry answers, and how it wants to be asked."""
    from kho.oci.reference import parse_host  # noqa: PLC0415

    registry = wire.registry(parse_host(host))
    url, challenge = await registry.base(), await registry.challenge()
    login = "none" if challenge is None else challenge.scheme
    if as_json:
        parameters = {} if challenge is None else challenge.parameters
        shown.as_json({"host": registry.name, "url": url, "login": login, "challenge": parameters})
        return
    shown.line(f"{registry.name} answers at {url}; login: {login}")
