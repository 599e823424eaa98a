"""`kho load [-i FILE]`."""

import sys
from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.transfer import transferring
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.transfer import Transfer
    from kho.cli.wire import Wire


@click.command("load")
@click.option(
    "-i", "--input", "file", default="-", metavar="FILE", help="What to read  [standard input]."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@transferring
@wired
async def command(wire: "Wire", file: str, *, transfer: "Transfer", as_json: bool) -> None:
    """Load all images of an archive into the local store.

    Takes what docker save, podman save, skopeo, crane and kho save write, also gzip or zstd of it.
    """
    from kho.client.archives.archive import Archive  # noqa: PLC0415
    from kho.client.errors import Misused  # noqa: PLC0415
    from kho.client.local.load import load  # noqa: PLC0415
    from kho.client.local.store import LocalStore, user_store  # noqa: PLC0415

    del wire
    if file == "-" and sys.stdin.isatty():
        raise Misused("what is to be loaded? Name a file with -i, or pipe one in")
    told = transfer.told(silent=as_json)
    loaded = []
    async with Archive(file, told=told) as archive:
        store = LocalStore(user_store())
        async for digest, name in load(archive, store, parallel=transfer.jobs, told=told):
            loaded.append({"name": name, "digest": str(digest)})
            if not as_json:
                shown.line(f"Loaded image: {name}" if name else f"Loaded image ID: {digest}")
    if as_json:
        shown.as_json(loaded)
