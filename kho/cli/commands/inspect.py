"""`kho inspect REF...`."""

from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.local import end
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire


@click.command("inspect")
@click.argument("references", nargs=-1, required=True, metavar="REF...")
@click.option("--platform", metavar="OS/ARCH", help="Of an index this image  [this machine's].")
@click.option("--raw", is_flag=True, help="Print the manifest as it is stored.")
@click.option("--config", is_flag=True, help="Print the config as it is stored.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list, with docker's keys.")
@wired
async def command(
    wire: "Wire",
    references: tuple[str, ...],
    platform: str | None,
    *,
    raw: bool,
    config: bool,
    as_json: bool,
) -> None:
    """Show what an image is: its platform, config, layers, names and digests.

    REF is looked for in the local store, then at its registry, where no layer is fetched for it;
    it may be any place, as oci:FOLDER or docker-archive:FILE.
    """
    from kho.cli.inspection import fields, inspected, text_of  # noqa: PLC0415
    from kho.client.errors import ClientError, Misused  # noqa: PLC0415
    from kho.client.images.image import read_blob  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415
    from kho.remote.errors import RemoteError  # noqa: PLC0415

    if (raw or config) and (as_json or raw == config or len(references) > 1):
        raise Misused("--raw or --config print one image as it is stored")
    wanted = None if platform is None else Platform.parse(platform)
    errors: list[Exception] = []
    listed = []
    for reference in references:
        try:
            async with inspected(reference, wire.registry, wanted, raw=raw) as found:
                if raw:
                    shown.content(found.manifest.content)
                elif config:
                    shown.content(await read_blob(found.image.source, found.image.config_content))
                elif as_json:
                    listed.append(fields(found))
                else:
                    shown.lines(text_of(found))
        except (ClientError, RemoteError) as error:
            errors.append(error)
    if as_json:
        shown.as_json(listed)
    end(errors)
