"""`kho manifest REF`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire


@click.command("manifest")
@click.argument("reference")
@click.option("--platform", metavar="OS/ARCH", help="Of an index, the image for this platform.")
@click.option("--pretty", is_flag=True, help="Indented, for people.")
@click.option("--list", "as_list", is_flag=True, help="What it refers to, as a table.")
@click.option("--digest", "as_digest", is_flag=True, help="Its digest alone.")
@click.option("--json", "as_json", is_flag=True, help="Digest, type, size and the manifest itself.")
@click.option(
    "--put",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Store this file as the manifest; - is standard input.",
)
@wired
async def command(
    wire: "Wire",
    reference: str,
    platform: str | None,
    put: Path | None,
    *,
    pretty: bool,
    as_list: bool,
    as_digest: bool,
    as_json: bool,
) -> None:
    """Print a manifest or index, byte for byte as it is stored; or put one there.

    What --put stores may only refer to what the repository has; its digest is printed.

    \b
    Examples:
      kho manifest debian:12 | sha256sum
      kho manifest --list debian:12
      kho manifest --platform linux/arm64 --pretty debian:12
      kho manifest localhost:5000/app:2 --put manifest.json
    """  # noqa: D301
    from kho.cli.manifests import put_manifest, rows, told  # noqa: PLC0415
    from kho.client.places import open_place  # noqa: PLC0415
    from kho.client.stores.copy import choose  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    async with open_place(reference, wire.registry) as place:
        if put is not None:
            found = await put_manifest(place, reference, put)
            click.echo(found.digest)
            return
        found = await place.store.manifest(await place.wanted())
        if platform is not None:
            found = await choose(place.store, found, Platform.parse(platform))
        if as_digest:
            click.echo(found.digest)
        elif as_list:
            table = rows(found)
            if as_json:
                shown.as_json(table)
            else:
                shown.table([list(row.values()) for row in table])
        elif as_json:
            shown.as_json(told(found))
        elif pretty:
            shown.as_json(told(found)["manifest"])
        else:
            shown.content(found.content)
