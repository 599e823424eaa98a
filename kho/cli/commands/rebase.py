"""`kho rebase REF`."""

from typing import TYPE_CHECKING

import click

from kho.cli.transfer import transferring
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.transfer import Transfer
    from kho.cli.wire import Wire


@click.command("rebase")
@click.argument("reference", metavar="REF")
@click.option("--old-base", metavar="PLACE", help="What it is made on  [as it says itself].")
@click.option("--new-base", metavar="PLACE", help="What it is to be made on  [the same name, now].")
@click.option("-t", "--tag", "destination", metavar="PLACE", help="Where it goes  [REF itself].")
@click.option("--platform", metavar="OS/ARCH", help="That image of an index alone.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@transferring
@wired
async def command(
    wire: "Wire",
    reference: str,
    old_base: str | None,
    new_base: str | None,
    destination: str | None,
    platform: str | None,
    *,
    transfer: "Transfer",
    as_json: bool,
) -> None:
    """Put the layers of an image on a newer base, without building it again.

    The layers of the old base must be the first of the image. Without --old-base and --new-base,
    the annotations org.opencontainers.image.base.name and .digest say what they are. What the image
    has unchanged from its old base (environment, labels, command) it gets from the new one.

    Prints the digest of the result.
    """
    from contextlib import AsyncExitStack  # noqa: PLC0415

    from kho.cli.building import Ending  # noqa: PLC0415
    from kho.client.building.rebase import Base, Rebase  # noqa: PLC0415
    from kho.client.places import open_place  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    wanted = None if platform is None else Platform.parse(platform)
    told = transfer.told(silent=as_json)
    async with AsyncExitStack() as stack:

        async def named(text: str) -> Base:
            opened = await stack.enter_async_context(open_place(text, wire.registry))
            return Base(opened.store, await opened.wanted(), text)

        place = await stack.enter_async_context(open_place(reference, wire.registry))
        old = None if old_base is None else await named(old_base)
        new = None if new_base is None else await named(new_base)
        rebase = Rebase(old, new, named, told)
        built, made = await rebase.run(place.store, await place.wanted(), wanted)
        await Ending(wire, told, transfer.jobs, as_json).put(built, made, destination, place)
