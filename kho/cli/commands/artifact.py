"""`kho artifact push` and `kho artifact pull`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.transfer import transferring
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.transfer import Transfer
    from kho.cli.wire import Wire


@click.group("artifact")
def command() -> None:
    """Push and pull files of any kind, as oras has them."""


@command.command("push")
@click.argument("reference", metavar="REF")
@click.argument("files", metavar="FILE[:TYPE]...", nargs=-1)
@click.option("--artifact-type", default="", metavar="TYPE", help="What the files are.")
@click.option("--annotation", "annotations", multiple=True, metavar="K=V", help="Annotate it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@transferring
@wired
async def push(
    wire: "Wire",
    reference: str,
    files: tuple[str, ...],
    artifact_type: str,
    annotations: tuple[str, ...],
    *,
    transfer: "Transfer",
    as_json: bool,
) -> None:
    """Push files under a name.

    TYPE is a media type, as app.conf:text/plain. Prints the digest.
    """
    from kho.cli.building import Ending  # noqa: PLC0415
    from kho.cli.changes import pairs  # noqa: PLC0415
    from kho.client.building.artifact import Artifact, File  # noqa: PLC0415
    from kho.client.building.attach import push_artifact  # noqa: PLC0415
    from kho.client.places import open_aim  # noqa: PLC0415
    from kho.client.stores.journal import Journal, user_folder  # noqa: PLC0415

    parsed = [File.parse(one) for one in files]
    artifact = Artifact(parsed, artifact_type, pairs("annotation", annotations))
    told = transfer.told(silent=as_json)
    aim = open_aim(reference, wire.registry, Journal(user_folder()))
    async with aim:
        made = await push_artifact(artifact, aim.store, aim.tag, told=told)
    Ending(wire, told, transfer.jobs, as_json).tell(made, aim)


@command.command("pull")
@click.argument("reference", metavar="REF")
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=Path())
@click.option("--force", is_flag=True, help="Write over files that are there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@transferring
@wired
async def pull(
    wire: "Wire", reference: str, folder: Path, *, force: bool, transfer: "Transfer", as_json: bool
) -> None:
    """Pull the files of an artifact.

    They go into DIR, made if need be, else into this folder; nothing is put elsewhere.
    """
    from kho.client.building.artifact_files import contents, fetch  # noqa: PLC0415
    from kho.client.errors import Missing  # noqa: PLC0415
    from kho.client.places import open_place  # noqa: PLC0415

    told = transfer.told(silent=as_json)
    async with open_place(reference, wire.registry) as place:
        manifest = await place.store.manifest(await place.wanted())
        files = contents(manifest, f"{place.store.name}@{manifest.digest}", told.note)
        if not files:
            text = "has no files with names; an image is for `kho unpack`"
            raise Missing(f"{reference} {text}")
        await fetch(place.store, files, folder, force=force, told=told)
    if as_json:
        shown.as_json([{"file": one.name, "digest": str(one.content.digest)} for one in files])
        return
    for one in files:
        shown.line(str(folder / one.name))
