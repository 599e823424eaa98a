"""`kho tree REF`."""

from typing import TYPE_CHECKING

import click

from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire


@click.command("tree")
@click.argument("reference")
@click.option("--platform", metavar="OS/ARCH", help="Of an index, the image for this platform.")
@click.option("--layer", type=click.IntRange(0), metavar="N", help="One layer alone; 0 is lowest.")
@click.option("--depth", default=2, type=click.IntRange(1), help="How deep folders are  [2].")
@click.option("--most", default=5, type=click.IntRange(0), help="Folders and files of each  [5].")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@wired
async def command(
    wire: "Wire",
    reference: str,
    platform: str | None,
    layer: int | None,
    depth: int,
    most: int,
    *,
    as_json: bool,
) -> None:
    """Show an image's layers, what is large in them, and what is wasted.

    Of an index, its images, their layers, and what refers to them; with --platform the layers of
    one. Wasted is what an upper layer has again or takes away; efficiency is the part of all
    bytes of files that a container sees.

    \b
    Examples:
      kho tree debian:12
      kho tree --platform linux/arm64 --layer 0 --most 20 localhost:5000/app:1
      kho tree --json app:1 | jq .efficiency
    """  # noqa: D301
    from kho.cli import trees  # noqa: PLC0415
    from kho.client.places import open_read  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    wanted = None if platform is None else Platform.parse(platform)
    async with await open_read(reference, wire.registry, wanted) as place:
        if wanted is None and await trees.is_index(place):
            await trees.show_index(place, as_json=as_json)
        else:
            await trees.show_image(place, wanted, trees.Shape(layer, depth, most), as_json=as_json)
