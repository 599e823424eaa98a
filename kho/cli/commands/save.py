"""`kho save [-o FILE] IMAGE...`."""

from typing import TYPE_CHECKING

import click

from kho.cli.transfer import transferring
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.transfer import Transfer
    from kho.cli.wire import Wire
    from kho.client.places import Place


@click.command("save")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("-o", "--output", default="-", metavar="FILE", help="Where to  [standard output].")
@click.option(
    "--format",
    "form",
    type=click.Choice(["docker", "oci"]),
    default="docker",
    help="docker is read by all; oci has the image layout alone  [docker].",
)
@click.option("--platform", metavar="OS/ARCH", help="One image of an index; without, all of it.")
@transferring
@wired
async def command(
    wire: "Wire",
    images: tuple[str, ...],
    output: str,
    form: str,
    platform: str | None,
    *,
    transfer: "Transfer",
) -> None:
    """Save images in one archive, which docker, podman, skopeo, crane and ctr load.

    An image is taken from the local store, else from its registry. The same images make the same
    bytes. A file gets its name when it is whole.
    """
    from kho.client.archives.places import ArchivePlace  # noqa: PLC0415
    from kho.client.local.save import save  # noqa: PLC0415
    from kho.client.places import open_read  # noqa: PLC0415
    from kho.client.stores.copy import Copier  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    wanted = None if platform is None else Platform.parse(platform)
    told = transfer.told()
    async with ArchivePlace(f"{form}-archive", output, None).target() as target:
        for image in images:
            async with await open_read(image, wire.registry, wanted) as origin:
                copier = Copier(origin.store, target, parallel=transfer.jobs, told=told)
                found = await origin.wanted()
                name = _name(image, found, origin)
                await save(copier, found, name, wanted)


def _name(text: str, found: str, origin: "Place") -> str | None:
    """What the image is called in the archive: its reference, or what its place calls it."""
    from kho.client.local.store import LocalStore  # noqa: PLC0415
    from kho.client.places import SCHEMES  # noqa: PLC0415
    from kho.oci.reference import Reference  # noqa: PLC0415

    scheme, colon, rest = text.partition(":")
    if colon and scheme in SCHEMES - {"local"}:
        return None if found.startswith(("@", "sha256:", "sha512:")) else found
    ref = Reference.parse(rest if scheme == "local" else text.removeprefix("docker://"))
    if ref.tag is None:
        return None
    if isinstance(origin.store, LocalStore) and not origin.store.has_name(ref):
        return None  # the first digits of its digest
    return str(ref.tagged(ref.tag))
