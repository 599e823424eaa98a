"""`kho flatten REF`."""

from contextlib import closing
from typing import TYPE_CHECKING

import click

from kho.cli.packing import compressing
from kho.cli.transfer import transferring
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.transfer import Transfer
    from kho.cli.wire import Wire
    from kho.layers.compression import Compression


@click.command("flatten")
@click.argument("reference", metavar="REF")
@click.option("-t", "--tag", "destination", metavar="PLACE", help="Where it goes  [REF itself].")
@click.option("--platform", metavar="OS/ARCH", help="That image of an index alone.")
@compressing
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@transferring
@wired
async def command(
    wire: "Wire",
    reference: str,
    destination: str | None,
    platform: str | None,
    *,
    compression: "Compression",
    transfer: "Transfer",
    as_json: bool,
) -> None:
    """Make one layer of all layers of an image, without what upper ones deleted or replaced.

    Of an index every image is flattened; with --platform the result is that image alone. Prints
    the digest of the result.
    """
    from kho.cli.building import Ending  # noqa: PLC0415
    from kho.client.building.flatten import Flattener  # noqa: PLC0415
    from kho.client.places import open_place  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    wanted = None if platform is None else Platform.parse(platform)
    told = transfer.told(silent=as_json)
    async with open_place(reference, wire.registry) as place:
        with closing(Flattener(compression, told)) as flattener:
            built, made = await flattener.run(place.store, await place.wanted(), wanted)
            await Ending(wire, told, transfer.jobs, as_json).put(built, made, destination, place)
