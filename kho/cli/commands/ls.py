"""`kho ls HOST[/PREFIX]` and `kho ls REF:/path`."""

from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire


@click.command("ls")
@click.argument("reference", metavar="HOST[/PREFIX] | REF:/PATH")
@click.argument("path", metavar="[PATH]", required=False)
@click.option("--tags", "with_tags", is_flag=True, help="Registry: each tag of each repository.")
@click.option("-l", "long", is_flag=True, help="Files: mode, owner, size, time, layer.")
@click.option("-R", "recursive", is_flag=True, help="Files: all below.")
@click.option("--platform", metavar="OS/ARCH", help="Files: which image of an index.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@wired
async def command(
    wire: "Wire",
    reference: str,
    path: str | None,
    platform: str | None,
    *,
    with_tags: bool,
    long: bool,
    recursive: bool,
    as_json: bool,
) -> None:
    """List the repositories of a registry, or files of an image.

    A registry lists what your login may see; Docker Hub and other public ones list nothing:
    see `kho search`. Files are those one would see in a container, from `:/` on.

    \b
    Examples:
      kho ls localhost:5000
      kho ls registry.example/team --tags
      kho ls debian:12:/etc
      kho ls -l localhost:5000/app:1 /usr/bin
      kho ls -R --json app:/
    """  # noqa: D301
    from kho.cli.listing import list_files, list_repositories  # noqa: PLC0415
    from kho.client.images.files import split_path  # noqa: PLC0415

    image, inside = split_path(reference)
    inside = inside or path
    if inside is None:
        await list_repositories(wire, image, with_tags=with_tags, as_json=as_json)
        return
    found = await list_files(wire, image, inside, platform, recursive=recursive)
    if as_json:
        shown.as_json([one.fields() for one in found])
    elif long:
        shown.table([one.columns() for one in found], right=frozenset({1, 2}))
    else:
        for one in found:
            shown.line(one.name)
