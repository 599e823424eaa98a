"""How commands that make images end: what was made goes to its place, and its digest is told."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kho.cli import shown

if TYPE_CHECKING:
    from kho.cli.wire import Wire
    from kho.client.building.built import Built
    from kho.client.places import Aim, Place
    from kho.client.progress import Progress
    from kho.remote.manifests import Manifest


def base_name(place: "Place") -> str:
    """What others know an image by; empty for one that is on this machine alone."""
    from kho.client.stores.registry_store import RegistryStore  # noqa: PLC0415

    if not isinstance(place.store, RegistryStore):
        return ""
    target = place.target or ""
    return f"{place.store.name}{'@' if ':' in target else ':'}{target}"


@dataclass(frozen=True, slots=True)
class Ending:
    """Where it goes and how that is told; `place` is where it came from."""

    wire: "Wire"
    told: "Progress"
    jobs: int
    as_json: bool

    async def put(
        self,
        built: "Built",
        manifest: "Manifest",
        destination: str | None,
        place: "Place | None" = None,
    ) -> None:
        """Bring it there; without a destination, to where it came from, by the same name."""
        from kho.client.building.built import deliver  # noqa: PLC0415

        aim = await self._aim(destination, place)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(aim)
            await deliver(built, manifest, aim.store, aim.tag, told=self.told, parallel=self.jobs)
        self.tell(manifest, aim)

    async def _aim(self, destination: str | None, place: "Place | None") -> "Aim":
        from kho.client.archives.archive import Archive  # noqa: PLC0415
        from kho.client.errors import Misused  # noqa: PLC0415
        from kho.client.places import Aim, open_aim  # noqa: PLC0415
        from kho.client.stores.journal import Journal, user_folder  # noqa: PLC0415

        if destination is not None:
            return open_aim(destination, self.wire.registry, Journal(user_folder()))
        if place is None or isinstance(place.store, Archive):
            raise Misused("an archive is not changed in its place: name another by --tag")
        name = await place.wanted()
        return Aim(place.store, place.tag or (None if ":" in name else name))

    def tell(self, manifest: "Manifest", aim: "Aim") -> None:
        """The digest, or an object that has it."""
        if not self.as_json:
            shown.line(str(manifest.digest))
            return
        told = {"digest": str(manifest.digest), "mediaType": manifest.media_type}
        shown.as_json({**told, "place": aim.store.name, "tag": aim.tag})
