"""`kho cat REF:/path`."""

from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire


@click.command("cat")
@click.argument("reference", metavar="REF[:/PATH]")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--platform", metavar="OS/ARCH", help="Which image of an index  [this machine's].")
@wired
async def command(
    wire: "Wire", reference: str, paths: tuple[str, ...], platform: str | None
) -> None:
    """Print files of an image, one after the other, without unpacking it.

    Layers are read from the top down, as many as it takes; links are followed inside the image.
    Nothing is printed before the layer it comes from was verified. On a terminal, control
    characters are shown as escapes.

    \b
    Examples:
      kho cat debian:12:/etc/os-release
      kho cat localhost:5000/app:1 /etc/passwd /etc/group
      kho cat app:1:/etc/app.conf app:2:/etc/app.conf
      kho cat oci:folder:name:/bin/sh > sh
    """  # noqa: D301
    from kho.cli.reading import Notes, opened  # noqa: PLC0415
    from kho.client.images.files import ImageFiles, read_file  # noqa: PLC0415

    for image_name, names in wanted(reference, paths):
        async with opened(wire, image_name, platform) as image:
            told = Notes()
            files = ImageFiles(image, told)
            for path in names:
                async for piece in read_file(image, path, files=files, told=told):
                    shown.content(piece)


def wanted(reference: str, paths: tuple[str, ...]) -> list[tuple[str, list[str]]]:
    """Images and the paths in them: `REF PATH...`, or any number of `REF:/path`."""
    from kho.client.errors import Misused  # noqa: PLC0415
    from kho.client.images.files import split_path  # noqa: PLC0415

    image, path = split_path(reference)
    if path is None:
        if not paths:
            raise Misused(f"{reference}: which file? Write {reference}:/path")
        return [(image, list(paths))]
    found = [(image, [path])]
    for text in paths:
        image, path = split_path(text)
        if path is None:
            raise Misused(f"{text}: expected REF:/path, as the first one")
        found.append((image, [path]))
    return found
