"""What commands that look into images share: the image of a place, and notes while it is read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from kho.cli import shown
from kho.client.images.image import Image, open_image
from kho.client.places import Place, open_read
from kho.client.progress import Progress
from kho.oci.platform import Platform

if TYPE_CHECKING:
    from kho.cli.wire import Wire


class Notes(Progress):
    """Tells of retries and rests, and of nothing that goes well."""

    def note(self, text: str) -> None:
        """On standard error."""
        shown.line(f"kho: {text}", err=True)


@asynccontextmanager
async def opened(wire: "Wire", text: str, platform: str | None) -> AsyncIterator[Image]:
    """The image that is written: of the local store where it is there, else of its registry."""
    wanted = None if platform is None else Platform.parse(platform)
    async with await open_read(text, wire.registry, wanted) as place:
        yield await image_of(place, wanted)


async def image_of(place: Place, platform: Platform | None) -> Image:
    """The image of a place that is open."""
    return await open_image(place.store, await place.wanted(), platform, called=place.called)
