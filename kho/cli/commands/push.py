"""`kho push [SOURCE] REF...`."""

from typing import TYPE_CHECKING, Any

import click

from kho.cli import shown
from kho.cli.transfer import transferring
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.transfer import Transfer
    from kho.cli.wire import Wire


@click.command("push")
@click.argument("places", nargs=-1, required=True, metavar="[SOURCE] REF...")
@click.option("--platform", metavar="OS/ARCH", help="One image of an index; without, all of it.")
@click.option("-a", "--all-tags", is_flag=True, help="Every local image of the repository REF.")
@click.option(
    "--referrers", is_flag=True, help="Signatures, SBOMs and what else refers to it, too."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@transferring
@wired
async def command(
    wire: "Wire",
    places: tuple[str, ...],
    platform: str | None,
    *,
    transfer: "Transfer",
    all_tags: bool,
    referrers: bool,
    as_json: bool,
) -> None:
    """Push an image to a registry; what is there already is not sent.

    Of one REF the image of that name in the local store. Of more, the first is SOURCE: another
    name in the local store, oci:FOLDER[:NAME], oci-archive:FILE[:NAME],
    docker-archive:FILE[:NAME] or docker-daemon:NAME; the others are names that it gets, each
    layer sent to a repository once. Prints each name with the digest.
    """
    from kho.cli.pushing import Pusher, aims_of, all_of  # noqa: PLC0415
    from kho.client.errors import Misused  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    wanted = None if platform is None else Platform.parse(platform)
    if all_tags and len(places) > 1:
        raise Misused("--all-tags takes one repository, whose local images are pushed")
    told = transfer.told(silent=as_json)
    pusher = Pusher(wire.registry, wanted, referrers, transfer.jobs, told)
    pushed: list[dict[str, Any]] = []
    source, *names = places
    jobs = all_of(source) if all_tags else [(source, aims_of(names or [source]))]
    for one, aims in jobs:
        async for result in pusher.push(one, aims):
            pushed.append(result)
            if not as_json:
                shown.line(f"{result['reference']}@{result['digest']}")
    if as_json:
        shown.as_json(pushed)
