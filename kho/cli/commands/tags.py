"""`kho tags REPOSITORY`."""

from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire


@click.command("tags")
@click.argument("repository")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@wired
async def command(wire: "Wire", repository: str, *, as_json: bool) -> None:
    """List the tags of a repository, in the registry's order."""
    from kho.oci.reference import Reference  # noqa: PLC0415
    from kho.remote.tags import tags  # noqa: PLC0415

    ref = Reference.parse_bare(repository)
    registry = wire.registry(ref.host)
    if as_json:
        found = [tag async for tag in tags(registry, ref.repository)]
        shown.as_json({"repository": ref.where, "tags": found})
        return
    async for tag in tags(registry, ref.repository):
        shown.line(tag)
