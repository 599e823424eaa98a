"""`kho rmi IMAGE...`."""

from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.local import end, local

if TYPE_CHECKING:
    from kho.client.local.store import LocalStore, Named

# So long another command is waited for; then its end, or the next rmi or prune, frees the space.
_PATIENCE = 2.0


@click.command("rmi")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "-f",
    "--force",
    is_flag=True,
    help="By digest, also an image of several names. What is not there is no failure.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@local
async def command(
    store: "LocalStore", images: tuple[str, ...], *, force: bool, as_json: bool
) -> None:
    """Remove images from the local store, and the content that no other image has.

    IMAGE is a name, or the digest or its first six digits or more.
    """
    from kho.client.errors import ClientError, Missing  # noqa: PLC0415
    from kho.client.local.gc import Collected, collect  # noqa: PLC0415

    errors: list[Exception] = []
    untagged: list[str] = []
    for text in images:
        try:
            gone = _meant(store, text, force=force)
        except ClientError as error:
            if force and isinstance(error, Missing):  # as docker has it
                shown.line(f"kho: {error}", err=True)
            else:
                errors.append(error)
            continue
        store.untag(gone)
        untagged += [one.name or str(one.digest) for one in gone]
    collected = None
    if untagged:
        collected = await collect(store, patience=_PATIENCE)
        if collected is None:
            text = "the store is in use: the space is free after the next `kho prune`"
            shown.line(f"kho: {text}", err=True)
    collected = collected or Collected()
    if as_json:
        deleted = [str(digest) for digest in collected.digests]
        shown.as_json({"untagged": untagged, "deleted": deleted, "size": collected.size})
    else:
        for name in untagged:
            shown.line(f"Untagged: {name}")
        for digest in collected.digests:
            shown.line(f"Deleted: {digest}")
    end(errors)


def _meant(store: "LocalStore", text: str, *, force: bool) -> "list[Named]":
    """The entries that go: one by its name, all of an image by its digest."""
    from kho.client.errors import Misused  # noqa: PLC0415
    from kho.oci.reference import Reference, ReferenceInvalid  # noqa: PLC0415

    found = store.get(text)
    try:
        by_name = str(Reference.parse(text)) == found.name
    except ReferenceInvalid:
        by_name = False
    if by_name:
        return [found]
    same = [one for one in store.images() if one.digest == found.digest]
    names = sorted(one.name for one in same if one.name is not None)
    if len(names) > 1 and not force:
        raise Misused(f"{text} has several names, --force removes all: {', '.join(names)}")
    return same
