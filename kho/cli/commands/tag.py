"""`kho tag SOURCE NAME`."""

from typing import TYPE_CHECKING

import click

from kho.cli.local import local

if TYPE_CHECKING:
    from kho.client.local.store import LocalStore


@click.command("tag")
@click.argument("source")
@click.argument("name")
@local
async def command(store: "LocalStore", source: str, name: str) -> None:
    """Give an image of the local store one more name.

    SOURCE is a name, or the digest or its first six digits or more. NAME is host/name:tag; what
    had it before loses it.
    """
    from kho.oci.reference import Reference  # noqa: PLC0415

    await store.tag(source, Reference.parse(name))
