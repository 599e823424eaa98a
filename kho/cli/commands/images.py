"""`kho images [PATTERN]`."""

from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.local import local

if TYPE_CHECKING:
    from kho.client.local.listing import Listed
    from kho.client.local.store import LocalStore

_NONE = "<none>"


@click.command("images")
@click.argument("pattern", required=False)
@click.option("--filter", "filters", metavar="reference=GLOB", help="The same as PATTERN.")
@click.option("--digests", is_flag=True, help="The digests that registries know, in full.")
@click.option("-q", "--quiet", is_flag=True, help="Print the digests of the images alone.")
@click.option("-a", "--all", is_flag=True, hidden=True, expose_value=False)  # docker's habit
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@local
async def command(
    store: "LocalStore",
    pattern: str | None,
    filters: str | None,
    *,
    digests: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """List the images of the local store; sizes are those of the layers as they are stored.

    PATTERN is a glob of names: debian, 'ghcr.io/team/*', '*/app:1*'.
    """
    from kho.client.errors import Misused  # noqa: PLC0415
    from kho.client.local.listing import listed  # noqa: PLC0415

    if filters is not None:
        key, equals, glob = filters.partition("=")
        if not equals or key != "reference" or pattern is not None:
            raise Misused(f"{filters!a:.100} is no filter: there is reference=GLOB, or PATTERN")
        pattern = glob
    found = await listed(store, pattern)
    if as_json:
        shown.as_json([_fields(one) for one in found])
    elif quiet:
        for digest in dict.fromkeys(one.named.digest for one in found):
            click.echo(digest)
    else:
        _table(found, digests=digests)


def _fields(one: "Listed") -> dict[str, object]:
    named = one.named
    return {
        "name": named.name,
        "repository": one.repository,
        "tag": one.tag,
        "digest": str(named.told),
        "image": str(named.digest),
        "mediaType": named.media_type,
        "created": one.created or None,
        "size": one.size,
        "platforms": list(one.platforms),
        "problem": one.problem,
    }


def _table(found: "list[Listed]", *, digests: bool) -> None:
    from kho.cli.ages import age  # noqa: PLC0415

    head = ("REPOSITORY", "TAG", *(("DIGEST",) if digests else ()), "IMAGE ID")
    rows = [(*head, "CREATED", "SIZE", "PLATFORM")]
    for one in found:
        name = (one.repository or _NONE, one.tag or _NONE)
        digest = (str(one.named.told),) if digests else ()
        what = f"damaged: {one.problem}" if one.problem else ", ".join(one.platforms)
        rows.append(
            (
                *name,
                *digest,
                one.named.digest.hex[:12],
                age(one.created),
                shown.size(one.size),
                what,
            )
        )
    shown.table(rows)
