"""`kho attach REF FILE...`."""

from typing import TYPE_CHECKING

import click

from kho.cli.transfer import transferring
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.transfer import Transfer
    from kho.cli.wire import Wire


@click.command("attach")
@click.argument("reference", metavar="REF")
@click.argument("files", metavar="FILE[:TYPE]...", nargs=-1)
@click.option("--artifact-type", required=True, metavar="TYPE", help="What the files are.")
@click.option("--annotation", "annotations", multiple=True, metavar="K=V", help="Annotate it.")
@click.option("--platform", metavar="OS/ARCH", help="Attach to that image of an index.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@transferring
@wired
async def command(
    wire: "Wire",
    reference: str,
    files: tuple[str, ...],
    artifact_type: str,
    annotations: tuple[str, ...],
    platform: str | None,
    *,
    transfer: "Transfer",
    as_json: bool,
) -> None:
    """Put files beside an image: an SBOM, a report; `kho referrers` finds them.

    TYPE is a media type, as sbom.json:application/spdx+json. A folder is packed. The same files
    attached twice are there once. Prints the digest of the attachment.
    """
    from kho.cli.building import Ending  # noqa: PLC0415
    from kho.cli.changes import pairs  # noqa: PLC0415
    from kho.client.archives.archive import Archive  # noqa: PLC0415
    from kho.client.building.artifact import Artifact, File  # noqa: PLC0415
    from kho.client.building.attach import push_artifact  # noqa: PLC0415
    from kho.client.errors import Misused  # noqa: PLC0415
    from kho.client.places import Aim, open_place  # noqa: PLC0415
    from kho.client.stores.copy import choose  # noqa: PLC0415
    from kho.client.stores.journal import Journal, user_folder  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    said = pairs("annotation", annotations)
    if not files and not said:
        raise Misused("nothing to attach: name files, or say something by --annotation")
    told = transfer.told(silent=as_json)
    place = open_place(reference, wire.registry, Journal(user_folder()))
    if isinstance(place.store, Archive):
        raise Misused("nothing can be attached in an archive: copy it to a layout or a registry")
    subject = await place.store.manifest(await place.wanted())
    if platform is not None:
        subject = await choose(place.store, subject, Platform.parse(platform))
    artifact = Artifact([File.parse(one) for one in files], artifact_type, said, subject)
    made = await push_artifact(artifact, place.store, None, told=told)
    Ending(wire, told, transfer.jobs, as_json).tell(made, Aim(place.store, None))
