"""`kho diff REF1 REF2`."""

from typing import TYPE_CHECKING

import click

from kho.cli import exits, shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire


@click.command("diff")
@click.argument("first", metavar="REF1")
@click.argument("second", metavar="REF2")
@click.option("--platform", metavar="OS/ARCH", help="Which images of indexes  [this machine's].")
@click.option("--files", is_flag=True, help="Files alone.")
@click.option("--packages", is_flag=True, help="Packages alone.")
@click.option("--config", is_flag=True, help="Config alone: reads no layer.")
@click.option("--exit-code", is_flag=True, help="End with 1 where they differ, as `diff` does.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@wired
async def command(
    wire: "Wire",
    first: str,
    second: str,
    platform: str | None,
    *,
    files: bool,
    packages: bool,
    config: bool,
    exit_code: bool,
    as_json: bool,
) -> None:
    """Tell what two images have in common and where they differ.

    Packages are those of dpkg, apk and rpm, of Python and npm. Files are compared by kind, mode,
    owner, size, content and link, not by time. Layers that both begin with are read only where
    a difference cannot be told without them.

    \b
    Examples:
      kho diff app:1 app:2
      kho diff --packages debian:12.10 debian:12.11
      kho diff --config --exit-code localhost:5000/app:1 oci:build
      kho diff --json --files app:1 app:2 | jq -r '.files[].path'
    """  # noqa: D301
    from kho.cli import differences  # noqa: PLC0415
    from kho.cli.reading import Notes, opened  # noqa: PLC0415
    from kho.client.images.diff import diff_images  # noqa: PLC0415

    wanted = differences.Sections.of(files=files, packages=packages, config=config)
    async with opened(wire, first, platform) as before, opened(wire, second, platform) as after:
        found = await diff_images(
            before, after, files=wanted.files, with_packages=wanted.packages, told=Notes()
        )
    if as_json:
        shown.as_json(differences.fields(before, after, found, wanted))
    else:
        differences.show(before, after, found, wanted)
    if exit_code and not wanted.same(found):
        raise SystemExit(exits.FAILED)
