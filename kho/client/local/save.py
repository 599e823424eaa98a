"""An image into an archive, in an order that is the same each time."""

from kho.client.stores.copy import Copied, Copier, choose
from kho.oci.errors import RegistryError
from kho.oci.manifest import parse_manifest
from kho.oci.platform import Platform


async def save(
    copier: Copier, wanted: str, name: str | None, platform: Platform | None = None
) -> Copied:
    """Copy what `wanted` names, the images of an index one after the other.

    Side by side they would come in the order in which their manifests arrive, and an archive that
    is streamed cannot be put in order afterwards.
    """
    manifest = await copier.source.manifest(wanted)
    if platform is not None:
        manifest = await choose(copier.source, manifest, platform)
    try:
        parsed = parse_manifest(manifest.content, manifest.media_type)
    except RegistryError:
        parsed = None  # the copier says what is wrong
    if parsed is not None and parsed.is_index:
        for one in parsed.references:
            await copier.copy(str(one.digest))
    return await copier.copy_manifest(manifest, [] if name is None else [name])
