"""`kho unpack REF DIR`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.transfer import transferring
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.transfer import Transfer
    from kho.cli.wire import Wire
    from kho.client.unpacking.unpack import Unpacked


@click.command("unpack")
@click.argument("ref")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--platform", metavar="OS/ARCH", help="Which image of an index  [this machine's].")
@click.option("--bundle", is_flag=True, help="DIR/rootfs and DIR/config.json, for `runc run`.")
@click.option(
    "--rootless",
    is_flag=True,
    help="Keep all files as our own and make no devices  [the default unless we are root].",
)
@click.option(
    "--keep-setuid", is_flag=True, help="Rootless: keep setuid and setgid of programs, as ours."
)
@click.option("--max-size", metavar="SIZE", default="128G", help="Stop beyond so much  [128G].")
@click.option(
    "--max-files",
    metavar="N",
    default=2_000_000,
    type=click.IntRange(1),
    help="Stop beyond so many files and folders  [2000000].",
)
@click.option("--no-sync", is_flag=True, help="Do not wait until all is on disk.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@transferring
@wired
async def command(
    wire: "Wire",
    ref: str,
    folder: Path,
    platform: str | None,
    max_size: str,
    max_files: int,
    *,
    transfer: "Transfer",
    bundle: bool,
    rootless: bool,
    keep_setuid: bool,
    no_sync: bool,
    as_json: bool,
) -> None:
    """Unpack an image into a new or empty folder: whole, or not at all.

    REF is a reference, of the local store where it is there, or a layout or an archive (oci:folder,
    docker-archive:file). As root, files get the owners, devices and attributes of the image; else
    all of them are ours (--rootless).
    """
    import os  # noqa: PLC0415
    from dataclasses import replace  # noqa: PLC0415

    from kho.cli.reading import image_of  # noqa: PLC0415
    from kho.client.places import open_read  # noqa: PLC0415
    from kho.client.unpacking.unpack import Choices, unpack  # noqa: PLC0415
    from kho.layers.limits import DEFAULT  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    choices = Choices(
        rootless=rootless or os.geteuid() != 0,
        keep_setuid=keep_setuid,
        bundle=bundle,
        limits=replace(DEFAULT, total=_size(max_size), entries=max_files),
        sync=not no_sync,
    )
    wanted = None if platform is None else Platform.parse(platform)
    told = transfer.told(silent=as_json)
    async with await open_read(ref, wire.registry, wanted) as place:
        image = await image_of(place, wanted)
        found = await unpack(image, folder, choices, told=told, parallel=transfer.jobs)
    if as_json:
        shown.as_json(_fields(found))
        return
    for line in _notes(found):
        told.note(line)
    shown.line(str(found.folder))


def _size(text: str) -> int:
    from kho.client.errors import Misused  # noqa: PLC0415
    from kho.client.rate import parse_rate  # noqa: PLC0415

    try:
        return int(parse_rate(text))
    except Misused:
        raise Misused(f"{text!a:.100} is no size: expected bytes, as 500M or 10G") from None


def _fields(found: "Unpacked") -> dict[str, object]:
    return {
        "folder": str(found.folder),
        "digest": str(found.digest),
        "layers": found.layers,
        "entries": found.entries,
        "bytes": found.size,
        "rootless": found.rootless,
        "attributesLeftOut": found.attributes_left_out,
        "setuidRemoved": found.setuid_removed,
        "devicesLeftEmpty": found.devices_left_empty,
    }


def _notes(found: "Unpacked") -> list[str]:
    """What a user would look for in vain."""
    lines = [
        f"left out {name} of {count} files" for name, count in found.attributes_left_out.items()
    ]
    if found.setuid_removed:
        lines.append(f"{found.setuid_removed} programs are not setuid (see --keep-setuid)")
    if found.devices_left_empty:
        lines.append(f"{found.devices_left_empty} devices are empty files")
    return lines
