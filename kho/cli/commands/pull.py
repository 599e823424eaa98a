"""`kho pull REF...`."""

from typing import TYPE_CHECKING

import click

from kho.cli import shown
from kho.cli.local import end
from kho.cli.transfer import transferring
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.transfer import Transfer
    from kho.cli.wire import Wire
    from kho.client.local.pull import Pulled


@click.command("pull")
@click.argument("references", nargs=-1, required=True, metavar="REF...")
@click.option("--platform", metavar="OS/ARCH", help="Of an index this image  [this machine's].")
@click.option("-a", "--all-platforms", is_flag=True, help="The whole index.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@transferring
@wired
async def command(
    wire: "Wire",
    references: tuple[str, ...],
    platform: str | None,
    *,
    transfer: "Transfer",
    all_platforms: bool,
    as_json: bool,
) -> None:
    """Pull images from registries into the local store.

    Layers that are there already are not fetched again, and a pull that was killed goes on where
    it was. Prints each reference with the digest that the registry has for it.
    """
    import asyncio  # noqa: PLC0415

    from kho.client.errors import Misused  # noqa: PLC0415
    from kho.client.local.pull import Puller  # noqa: PLC0415
    from kho.client.local.store import LocalStore, user_store  # noqa: PLC0415
    from kho.client.places import SCHEMES  # noqa: PLC0415
    from kho.client.stores.registry_store import RegistryStore  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415
    from kho.oci.reference import Reference  # noqa: PLC0415

    if platform is not None and all_platforms:
        raise Misused("--platform is one of an index, --all-platforms are all: not both")
    wanted = None if platform is None else Platform.parse(platform)
    for text in references:
        if ":" in text and text.partition(":")[0] in SCHEMES:
            raise Misused(f"{text} is no name at a registry; `kho copy`, `kho load` take others")
    refs = [Reference.parse(text.removeprefix("docker://")) for text in dict.fromkeys(references)]
    registries = {ref.host: wire.registry(ref.host) for ref in refs}
    told = transfer.told(silent=as_json)
    puller = Puller(LocalStore(user_store()), transfer.jobs, told)
    done = await asyncio.gather(
        *(
            puller.pull(
                RegistryStore(registries[ref.host], ref.repository),
                ref,
                wanted,
                every=all_platforms,
            )
            for ref in refs
        ),
        return_exceptions=True,
    )
    pulled = [one for one in done if not isinstance(one, BaseException)]
    for one in pulled:
        if one.unchanged:
            told.note(f"{one.reference} is up to date")
        if not as_json:
            shown.line(
                f"{one.reference}@{one.told}"
                if one.reference.digest is None
                else str(one.reference)
            )
    if as_json:
        shown.as_json([_fields(one) for one in pulled])
    end([one for one in done if isinstance(one, BaseException)])


def _fields(pulled: "Pulled") -> dict[str, object]:
    return {
        "reference": str(pulled.reference),
        "digest": str(pulled.told),
        "image": str(pulled.digest),
        "mediaType": pulled.media_type,
        "unchanged": pulled.unchanged,
        "blobs": {str(digest): outcome.value for digest, outcome in pulled.outcomes.items()},
    }
