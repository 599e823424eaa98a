"""`kho referrers REF`."""

from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire
    from kho.client.building.attach import Found


@click.command("referrers")
@click.argument("reference", metavar="REF")
@click.option("--artifact-type", metavar="TYPE", help="Only such.")
@click.option("--recursive", is_flag=True, help="What refers to those, too, as a tree.")
@click.option("--platform", metavar="OS/ARCH", help="Of that image of an index.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list of descriptors.")
@wired
async def command(
    wire: "Wire",
    reference: str,
    artifact_type: str | None,
    platform: str | None,
    *,
    recursive: bool,
    as_json: bool,
) -> None:
    """List what refers to an image: signatures, SBOMs, attachments.

    Where the registry does not list them, the tag that clients keep for that is read.
    """
    from kho.client.building.attach import all_referrers  # noqa: PLC0415
    from kho.client.places import open_place  # noqa: PLC0415
    from kho.client.stores.copy import choose  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    async with open_place(reference, wire.registry) as place:
        found = await place.store.manifest(await place.wanted())
        if platform is not None:
            found = await choose(place.store, found, Platform.parse(platform))
        listed = all_referrers(place.store, found.digest, artifact_type, recursive=recursive)
        if as_json:
            shown.as_json([_value(one, recursive=recursive) async for one in listed])
            return
        async for one in listed:
            shown.line(f"{'  ' * (one.depth - 1)}{one.digest}  {one.artifact_type or '-'}")


def _value(found: "Found", *, recursive: bool) -> dict[str, object]:
    return {**found.entry, "depth": found.depth} if recursive else dict(found.entry)
