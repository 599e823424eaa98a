"""`kho digest REF`."""

from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire


@click.command("digest")
@click.argument("reference")
@click.option("--platform", metavar="OS/ARCH", help="Of the image for this platform.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@wired
async def command(wire: "Wire", reference: str, platform: str | None, *, as_json: bool) -> None:
    """Print the digest of an image."""
    from kho.client.stores.copy import choose  # noqa: PLC0415
    from kho.client.stores.registry_store import RegistryStore  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415
    from kho.oci.reference import Reference  # noqa: PLC0415

    ref = Reference.parse(reference)
    store = RegistryStore(wire.registry(ref.host), ref.repository)
    found = await store.find(ref.target)
    media_type, digest, size = found.media_type, found.digest, found.size
    if platform is not None:
        manifest = await store.manifest(str(digest))
        image = await choose(store, manifest, Platform.parse(platform))
        media_type, digest, size = image.media_type, image.digest, len(image.content)
    if as_json:
        told = {"reference": str(ref), "digest": str(digest), "mediaType": media_type}
        shown.as_json({**told, "size": size})
        return
    click.echo(digest)
