"""`kho copy SRC DST`."""

from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.transfer import transferring
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.transfer import Transfer
    from kho.cli.wire import Wire


@click.command("copy")
@click.argument("source")
@click.argument("destination")
@click.option("--platform", metavar="OS/ARCH", help="One image of an index; without, all of it.")
@click.option(
    "--referrers", is_flag=True, help="Signatures, SBOMs and what else refers to it, too."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@transferring
@wired
async def command(
    wire: "Wire",
    source: str,
    destination: str,
    platform: str | None,
    *,
    transfer: "Transfer",
    referrers: bool,
    as_json: bool,
) -> None:
    """Copy an image, with all its platforms; what is there already is not sent.

    A place is a reference (ghcr.io/team/app:1), the local store (local:app:1), a folder in
    image-layout form (oci:folder:name), an archive (docker-archive:file:name,
    oci-archive:file:name; - is standard input or output), or an engine (docker-daemon:name).
    """
    from kho.client.places import open_aim, open_place  # noqa: PLC0415
    from kho.client.stores.copy import Copier  # noqa: PLC0415
    from kho.client.stores.journal import Journal, user_folder  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    wanted = None if platform is None else Platform.parse(platform)
    origin = open_place(source, wire.registry)
    aim = open_aim(destination, wire.registry, Journal(user_folder()))
    told = transfer.told(silent=as_json)
    async with origin, aim:
        copier = Copier(
            origin.store, aim.store, referrers=referrers, parallel=transfer.jobs, told=told
        )
        copied = await copier.copy(await origin.wanted(), [aim.tag] if aim.tag else [], wanted)
    if aim.stdout:
        return
    if as_json:
        blobs = {str(digest): outcome.value for digest, outcome in copied.outcomes.items()}
        shown.as_json(
            {"digest": str(copied.digest), "mediaType": copied.media_type, "blobs": blobs}
        )
        return
    shown.line(str(copied.digest))
