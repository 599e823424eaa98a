"""`kho validate REF`."""

from typing import TYPE_CHECKING

import click

from kho.cli import exits, shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire


@click.command("validate")
@click.argument("reference")
@click.option("--fast", is_flag=True, help="Ask whether layers are there, but do not read them.")
@click.option("--platform", metavar="OS/ARCH", help="One image of an index; without, all of it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@wired
async def command(
    wire: "Wire", reference: str, platform: str | None, *, fast: bool, as_json: bool
) -> None:
    """Check that all of an image is there and what it should be.

    Sizes and digests of everything, diff ids of layers, that each can be unpacked, and that the
    config tells of as many as there are. All that is wrong is listed; then the exit code is 6.

    \b
    Examples:
      kho validate localhost:5000/app:1
      kho validate --fast ghcr.io/team/app:1
      kho validate oci:folder:name
    """  # noqa: D301
    from kho.cli.reading import Notes  # noqa: PLC0415
    from kho.client.images.validate import Check  # noqa: PLC0415
    from kho.client.places import open_place  # noqa: PLC0415
    from kho.client.stores.copy import choose  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    async with open_place(reference, wire.registry) as place:
        wanted = await place.wanted()
        if platform is not None:
            manifest = await place.store.manifest(wanted)
            chosen = await choose(place.store, manifest, Platform.parse(platform))
            wanted = str(chosen.digest)
        found = await Check(place.store, fast=fast, told=Notes()).run(wanted)
    if as_json:
        names = ("good", "manifests", "blobs", "size", "skipped", "problems")
        shown.as_json({name: getattr(found, name) for name in names})
    else:
        for problem in found.problems:
            shown.line(problem)
        read = "looked for" if fast else f"read ({shown.size(found.size)})"
        state = "good" if found.good else f"{len(found.problems)} wrong"
        counts = (
            f"{shown.counted(found.manifests, 'manifest')}, {shown.counted(found.blobs, 'blob')}"
        )
        shown.line(f"{state}: {counts} {read}")
    if not found.good:
        raise SystemExit(exits.WRONG_CONTENT)
