"""`kho prune`."""

from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.local import local

if TYPE_CHECKING:
    from kho.client.local.store import LocalStore


@click.command("prune")
@click.option("--parts", is_flag=True, help="Also what pulls of today have left half done.")
@click.option(
    "--wait",
    "patience",
    metavar="SECONDS",
    default=60.0,
    type=click.FloatRange(0),
    help="So long for other commands to end  [60].",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@local
async def command(store: "LocalStore", *, parts: bool, patience: float, as_json: bool) -> None:
    """Prune the local store: images without a name, content of no image, old parts of layers.

    A part is what a pull that was killed has left, and would go on with; after a day it is old.
    """
    from kho.client.errors import ClientError  # noqa: PLC0415
    from kho.client.local.gc import PART_SECONDS, collect  # noqa: PLC0415

    seconds = 0.0 if parts else PART_SECONDS
    collected = await collect(store, patience=patience, unnamed=True, part_seconds=seconds)
    if collected is None:
        raise ClientError(f"the store is in use by other commands for {patience:g} seconds already")
    if as_json:
        deleted = [str(digest) for digest in collected.digests]
        shown.as_json({"deleted": deleted, "parts": collected.parts, "size": collected.size})
        return
    for digest in collected.digests:
        shown.line(f"Deleted: {digest}")
    shown.line(f"Freed {shown.size(collected.size)}")
