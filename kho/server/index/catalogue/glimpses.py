"""Platforms and kinds of the repositories of a list: what their newest images are."""

from collections.abc import Iterable
from typing import Final

import msgspec

from kho.server.database import glimpses as rows
from kho.server.resources import Resources

_DESCRIPTION: Final = "description="


class Glimpse(msgspec.Struct, frozen=True):
    """What the newest images of a repository are; `types` are those of artifacts.

    `description` is what they say of themselves.
    """

    platforms: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    description: str = ""


class _Source(msgspec.Struct):
    platforms: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


NOTHING: Final = Glimpse()
_DECODER: Final = msgspec.json.Decoder(_Source)


async def of(resources: Resources, names: Iterable[str]) -> dict[str, Glimpse]:
    """By name, of those that hold anything; who asks has been told the names already."""
    found = await resources.database.read(rows.sources, list(names))
    return {name: _glimpse(_DECODER.decode(source)) for name, source in found.items()}


def _glimpse(source: _Source) -> Glimpse:
    described = next((one for one in source.labels if one.startswith(_DESCRIPTION)), "")
    return Glimpse(
        source.platforms, source.kinds, source.types, described.removeprefix(_DESCRIPTION)
    )
