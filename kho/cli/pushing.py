"""What `kho push` does: a source to some names, by repository."""

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kho.client.errors import Missing, Misused
from kho.client.local.push import origins
from kho.client.local.store import LocalStore, user_store
from kho.client.places import SCHEMES, Place, Registries, open_near, open_place
from kho.client.progress import Progress
from kho.client.stores.copy import Copier, choose
from kho.client.stores.journal import Journal, user_folder
from kho.client.stores.layout_files import LayoutUnwritable
from kho.client.stores.registry_store import RegistryStore
from kho.oci.digest import Digest
from kho.oci.platform import Platform
from kho.oci.reference import Reference

Aims = dict[str, list[Reference]]


def aims_of(names: Iterable[str]) -> Aims:
    """References by `host/name`; raise ReferenceInvalid, Misused."""
    aims: Aims = {}
    for name in dict.fromkeys(names):
        scheme = name.partition(":")[0]
        if scheme in SCHEMES and ":" in name:
            raise Misused(f"{name} is no name at a registry; `kho copy` copies to any place")
        ref = Reference.parse(name.removeprefix("docker://"))
        aims.setdefault(ref.where, []).append(ref)
    return aims


def all_of(repository: str) -> list[tuple[str, Aims]]:
    """Every local image of a repository, under its own name; raise Missing."""
    where = Reference.parse_bare(repository)
    if where.tag is not None or where.digest is not None:
        raise Misused(f"{repository}: --all-tags takes a repository without tag and digest")
    names = [one.name for one in LocalStore(user_store()).images() if one.name is not None]
    found = [name for name in names if name.startswith(f"{where.where}:") and "@" not in name]
    if not found:
        raise Missing(f"local has no image of {where.where}; `kho images` lists what it has")
    return [(name, aims_of([name])) for name in sorted(found)]


@dataclass
class Pusher:
    """Pushes with the same options."""

    registries: Registries
    platform: Platform | None
    referrers: bool
    parallel: int
    told: Progress
    # What this run has sent, by registry: the repositories that have it.
    _sent: dict[str, dict[Digest, list[str]]] = field(default_factory=dict, init=False)

    async def push(self, source: str, aims: Aims) -> AsyncIterator[dict[str, Any]]:
        """Push an image to all its names; tell each when it is there."""
        async with _source(source, self.registries) as origin:
            for refs in aims.values():
                async for result in self._repository(origin, refs):
                    yield result

    async def _repository(
        self, origin: Place, refs: list[Reference]
    ) -> AsyncIterator[dict[str, Any]]:
        store, first = origin.store, refs[0]
        registry = self.registries(first.host)
        sent = self._sent.setdefault(first.host, {})
        known = origins(store, first.host) if isinstance(store, LocalStore) else {}
        target = RegistryStore(
            registry, first.repository, Journal(user_folder()), origins={**known, **sent}
        )
        copier = Copier(
            store, target, referrers=self.referrers, parallel=self.parallel, told=self.told
        )
        manifest = await store.manifest(await origin.wanted())
        if self.platform is not None:
            manifest = await choose(store, manifest, self.platform)
        for ref in refs:
            if ref.digest not in (None, manifest.digest):
                raise Misused(f"{ref} cannot name {manifest.digest}, which is what would be pushed")
        tags = [ref.tag for ref in refs if ref.digest is None and ref.tag is not None]
        copied = await copier.copy_manifest(manifest, tags)
        for digest in copied.outcomes:
            sent.setdefault(digest, []).append(first.repository)
        if isinstance(store, LocalStore):
            with suppress(LayoutUnwritable):
                store.came_from(copied.digest, [first.where])
        for ref in refs:
            yield {
                "reference": str(ref) if ref.digest is None else ref.where,
                "digest": str(copied.digest),
                "mediaType": copied.media_type,
                "blobs": {str(one): outcome.value for one, outcome in copied.outcomes.items()},
            }


def _source(text: str, registries: Registries) -> Place:
    """A place; a bare name is one of the local store."""
    scheme, colon, _ = text.partition(":")
    if (colon and scheme in SCHEMES) or text.startswith("docker://"):
        return open_place(text, registries)
    return open_near(text)
