"""`kho search HOST/TERM`."""

from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire


@click.command("search")
@click.argument("term", metavar="[HOST/]TERM")
@click.option("--limit", default=25, type=click.IntRange(1, 10_000), help="At most so many  [25].")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@wired
async def command(wire: "Wire", term: str, limit: int, *, as_json: bool) -> None:
    """Search a registry for repositories; without HOST, Docker Hub.

    Asked is the registry's own search. Where it has none, its list of repositories is gone
    through for names that contain TERM, and a line on standard error says so.

    \b
    Examples:
      kho search redis
      kho search quay.io/prometheus --limit 5
      kho search localhost:5000/app --json
    """  # noqa: D301
    from kho.client.errors import Misused  # noqa: PLC0415
    from kho.client.images.searching import search  # noqa: PLC0415
    from kho.oci.reference import HUB, parse_host  # noqa: PLC0415

    host, slash, words = term.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, words = HUB, term
    if not words or ":" in words:  # a host alone
        raise Misused(f"{term!r}: search for what? Write [HOST/]TERM; `kho ls HOST` lists all")
    registry = wire.registry(parse_host(host))
    found = await search(registry, words, limit)
    if not found.by_registry:
        shown.line(
            f"kho: {registry.name} has no search: names that contain {words!r} in its list",
            err=True,
        )
    if as_json:
        fields = ("name", "description", "stars", "official")
        shown.as_json([{key: getattr(hit, key) for key in fields} for hit in found.hits])
        return
    rows = [
        (hit.name, str(hit.stars) if found.by_registry else "", hit.description)
        for hit in found.hits
    ]
    shown.table(rows, right=frozenset({1}))
