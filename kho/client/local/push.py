"""Which repositories hold what the local store has: a registry mounts from there, without bytes."""

from kho.client.local.store import LocalStore
from kho.oci.digest import Digest
from kho.oci.errors import RegistryError
from kho.oci.manifest import parse_manifest


def origins(store: LocalStore, registry: str) -> dict[Digest, list[str]]:
    """By blob, the repositories of a registry that its images were pulled from, or pushed to.

    What has changed there since costs a request that is in vain, nothing else.
    """
    found: dict[Digest, list[str]] = {}
    for one in store.images():
        prefix = f"{registry}/"
        here = [where.removeprefix(prefix) for where in one.sources if where.startswith(prefix)]
        if here:
            for digest in _blobs(store, one.digest, depth=5):
                known = found.setdefault(digest, [])
                known += [name for name in here if name not in known]
    return found


def _blobs(store: LocalStore, digest: Digest, depth: int) -> set[Digest]:
    manifest = store.stored(digest)
    if manifest is None:
        return set()
    try:
        parsed = parse_manifest(manifest.content, None)
    except RegistryError:
        return set()
    blobs: set[Digest] = set()
    for one in parsed.references:
        if one.kind != "manifest":
            blobs.add(one.digest)
        elif depth:
            blobs |= _blobs(store, one.digest, depth - 1)
    return blobs
