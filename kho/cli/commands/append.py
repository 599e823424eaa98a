"""`kho append BASE DST`."""

from contextlib import ExitStack
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

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_DIR = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("append")
@click.argument("base")
@click.argument("destination", metavar="DST")
@click.option("--layer", "tars", multiple=True, type=_FILE, help="A tar; gzip and zstd stay so.")
@click.option("--dir", "folders", multiple=True, type=_DIR, help="A folder, as kho pack packs it.")
@click.option("--platform", metavar="OS/ARCH", help="That image of an index alone.")
@packing
@compressing
@changing()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@transferring
@wired
async def command(
    wire: "Wire",
    base: str,
    destination: str,
    tars: tuple[Path, ...],
    folders: tuple[Path, ...],
    platform: str | None,
    *,
    change: "Change",
    packing: "Packing",
    compression: "Compression",
    transfer: "Transfer",
    as_json: bool,
) -> None:
    """Put layers on top of an image: first all of --layer, then all of --dir.

    Of an index every image gets them; with --platform the result is that image alone. The result
    says what it is made on (org.opencontainers.image.base.name), for kho rebase. Prints its digest.
    """
    from kho.cli.building import Ending, base_name  # noqa: PLC0415
    from kho.client.building.append import Addition, Appending, append, pack_layer, read_layer  # noqa: PLC0415
    from kho.client.errors import Misused  # noqa: PLC0415
    from kho.client.places import open_place  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    if not tars and not folders:
        raise Misused("nothing to append: name a tar by --layer, or a folder by --dir")
    wanted = None if platform is None else Platform.parse(platform)
    told = transfer.told(silent=as_json)
    additions = []
    async with open_place(base, wire.registry) as place:
        with ExitStack() as stack:
            for tar in tars:
                layer = await read_layer(tar, compression)
                stack.callback(layer.close)
                additions.append(Addition(layer, f"kho append {tar.name}"))
            for folder in folders:
                layer = await pack_layer(folder, packing, compression, told)
                stack.callback(layer.close)
                additions.append(Addition(layer, f"kho append {packing.where}"))
            appending = Appending(additions, change, base_name(place), change.created or "")
            target = await place.wanted()
            built, made = await append(place.store, target, appending, platform=wanted, told=told)
            await Ending(wire, told, transfer.jobs, as_json).put(built, made, destination)
