"""`kho pack DIR DST`."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kho.cli.changes import changing
from kho.cli.packing import compressing, packing
from kho.cli.transfer import transferring
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.transfer import Transfer
    from kho.cli.wire import Wire
    from kho.client.building.mutate import Change
    from kho.client.building.pack import Packing
    from kho.layers.compression import Compression


@click.command("pack")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("destination", metavar="DST")
@click.option("--base", metavar="PLACE", help="An image to put it on  [none].")
@click.option(
    "--platform",
    metavar="OS/ARCH",
    help="What it is for; of an index as BASE, that image  [this machine].",
)
@packing
@compressing
@changing()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@transferring
@wired
async def command(
    wire: "Wire",
    folder: Path,
    destination: str,
    base: str | None,
    platform: str | None,
    *,
    change: "Change",
    packing: "Packing",
    compression: "Compression",
    transfer: "Transfer",
    as_json: bool,
) -> None:
    """Make an image of a folder, or a layer of it on BASE.

    The same content makes the same digest: files belong to 0:0 and are no younger than
    SOURCE_DATE_EPOCH, or 1970. Links stay links; sockets are left out.

    For a Dockerfile there is buildah: kho runs nothing. Prints the digest.
    """
    from kho.cli.building import Ending, base_name  # noqa: PLC0415
    from kho.client.building.append import Addition, Appending, append, pack_layer, start  # noqa: PLC0415
    from kho.client.places import open_place  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    wanted = Platform.local() if platform is None else Platform.parse(platform)
    told = transfer.told(silent=as_json)
    ending = Ending(wire, told, transfer.jobs, as_json)
    with closing(await pack_layer(folder, packing, compression, told)) as layer:
        additions = [Addition(layer, f"kho pack {packing.where}")]
        if base is None:
            made = start(additions, change, wanted)
            await ending.put(*made, destination)
            return
        async with open_place(base, wire.registry) as place:
            appending = Appending(additions, change, base_name(place), change.created or "")
            target = await place.wanted()
            made = await append(place.store, target, appending, platform=wanted, told=told)
            await ending.put(*made, destination)
