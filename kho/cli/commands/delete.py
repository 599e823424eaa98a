"""`kho delete REF...`."""

from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire


@click.command("delete")
@click.argument("references", metavar="REF...", nargs=-1, required=True)
@click.option("--image", is_flag=True, help="Of a tag: the image, with all its tags.")
@click.option("--referrers", is_flag=True, help="What refers to the image, before it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@wired
async def command(
    wire: "Wire", references: tuple[str, ...], *, image: bool, referrers: bool, as_json: bool
) -> None:
    """Delete tags and images from a registry, without asking.

    REPOSITORY:TAG takes that tag away and leaves the image; with --image, and for
    REPOSITORY@DIGEST, the image goes with all its tags. Images that an index lists stay. A
    repository without a tag is refused.
    """
    from kho.client.building.deletion import delete_image, delete_tag  # noqa: PLC0415
    from kho.client.errors import Misused  # noqa: PLC0415
    from kho.client.stores.registry_store import RegistryStore  # noqa: PLC0415
    from kho.oci.reference import Reference  # noqa: PLC0415

    refs = [Reference.parse_bare(one.removeprefix("docker://")) for one in references]
    for ref in refs:
        if ref.tag is None and ref.digest is None:
            raise Misused(f"{ref} names a whole repository: add a tag or a digest")
        if ref.digest is None and referrers and not image:
            raise Misused(f"{ref}: --referrers goes with the image, not with a tag: add --image")
    done: list[dict[str, str]] = []
    for ref in refs:
        store = RegistryStore(wire.registry(ref.host), ref.repository)
        if ref.digest is None and not image:
            gone = await delete_tag(store, ref.target)
            done.append({"reference": str(ref), "tag": ref.target, "digest": str(gone)})
        else:
            digest = ref.digest or (await store.find(ref.target)).digest
            gone_too = await delete_image(store, digest, referrers=referrers)
            done += [{"reference": str(ref.at(one)), "digest": str(one)} for one in gone_too]
        if not as_json:
            for told in done:
                shown.line(f"deleted {told['reference']}")
            done.clear()
    if as_json:
        shown.as_json(done)
