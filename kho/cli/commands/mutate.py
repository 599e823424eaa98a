"""`kho mutate REF`."""

from typing import TYPE_CHECKING

import click

from kho.cli.changes import changing
from kho.cli.transfer import transferring
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.transfer import Transfer
    from kho.cli.wire import Wire
    from kho.client.building.mutate import Change


@click.command("mutate")
@click.argument("reference", metavar="REF")
@click.option("-t", "--tag", "destination", metavar="PLACE", help="Where it goes  [REF itself].")
@click.option("--platform", metavar="OS/ARCH", help="That image of an index alone.")
@changing(removals=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@transferring
@wired
async def command(
    wire: "Wire",
    reference: str,
    destination: str | None,
    platform: str | None,
    *,
    change: "Change",
    transfer: "Transfer",
    as_json: bool,
) -> None:
    """Change how an image is run and what is said of it; its layers stay.

    Of an index every image is changed, and annotations are set on the index, too. With --platform
    the result is that image alone. An empty text (--user "") takes the value away. As docker has
    it, --entrypoint without --cmd takes the old command away.

    Prints the digest of the result.
    """
    from kho.cli.building import Ending  # noqa: PLC0415
    from kho.client.building.mutate import mutate  # noqa: PLC0415
    from kho.client.places import open_place  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    wanted = None if platform is None else Platform.parse(platform)
    told = transfer.told(silent=as_json)
    async with open_place(reference, wire.registry) as place:
        target = await place.wanted()
        built, made = await mutate(place.store, target, change, platform=wanted, told=told)
        await Ending(wire, told, transfer.jobs, as_json).put(built, made, destination, place)
