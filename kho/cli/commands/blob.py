"""`kho blob REPOSITORY@DIGEST`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire


@click.command("blob")
@click.argument("reference", metavar="REPOSITORY[@DIGEST]")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to a file, which gets its name when it is whole and verified.",
)
@click.option(
    "--put",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Upload this file; its digest is printed.",
)
@click.option("--json", "as_json", is_flag=True, help="Digest and size as JSON, no content.")
@wired
async def command(
    wire: "Wire", reference: str, output: Path | None, put: Path | None, *, as_json: bool
) -> None:
    """Print a blob of a repository, or upload one.

    The end of it comes only after its digest was right: on any other exit code than 0, what was
    printed is not to be used.

    \b
    Examples:
      kho blob localhost:5000/app@sha256:9f86... -o layer.tar.gz
      kho blob localhost:5000/app@sha256:9f86... | tar tz
      kho blob localhost:5000/app --put layer.tar.gz
    """  # noqa: D301
    from kho.cli import blobs  # noqa: PLC0415
    from kho.client.errors import Misused  # noqa: PLC0415
    from kho.oci.reference import Reference  # noqa: PLC0415

    ref = Reference.parse_bare(reference.removeprefix("docker://"))
    if put is not None and output is not None:
        raise Misused("--put and --output exclude each other")
    if put is not None:
        sent = await blobs.put_blob(wire, ref, put)
        if as_json:
            shown.as_json({"digest": str(sent.digest), "size": sent.size})
        else:
            shown.line(str(sent.digest))
    elif as_json:
        found = await blobs.found_blob(wire, ref)
        shown.as_json({"digest": str(found.digest), "size": found.size})
    else:
        await blobs.get_blob(wire, ref, output)
