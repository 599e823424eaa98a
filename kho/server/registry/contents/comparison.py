"""Two images beside each other: config, layers, sizes, platforms. Files: kho/server/index/files."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from kho.oci.digest import Digest
from kho.oci.manifest import Descriptor
from kho.server.registry.contents import config
from kho.server.registry.contents.config import Config, State
from kho.server.registry.contents.image import Opened, choose, offers_of, opened
from kho.server.resources import Resources

LAYERS: Final = 500

Where = Literal["both", "a", "b"]


class Side(msgspec.Struct, frozen=True):
    """What is compared; `image` is the manifest of `platform`, "" where it is not here.

    `size` in bytes of manifest, config and layers.
    """

    digest: str
    image: str
    platform: str
    size: int
    layers: int
    config_state: State


class Change(msgspec.Struct, frozen=True):
    """A difference of the configs: `field` as in env, labels, cmd; `name` in it, or "".

    None is absent. Values that look secret are masked on both sides, and still differ.
    """

    field: str
    name: str
    a: str | None
    b: str | None


class LayerChange(msgspec.Struct, frozen=True):
    """A layer and where it is; of one side in the order of that side, b's where both have it."""

    where: Where
    digest: str
    media_type: str
    size: int


class Comparison(msgspec.Struct, frozen=True):
    """a and b; bytes are of layers, each digest once. `platforms_…`: only in that index."""

    a: Side
    b: Side
    same: bool
    config: tuple[Change, ...]
    layers: tuple[LayerChange, ...]
    shared_bytes: int
    added_bytes: int
    removed_bytes: int
    size_change: int
    platforms_both: tuple[str, ...]
    platforms_a: tuple[str, ...]
    platforms_b: tuple[str, ...]


class _Half:
    """One of the two, as it was read."""

    def __init__(self, top: Opened, chosen: Opened | None, platform: str) -> None:
        self.top, self.chosen, self.platform = top, chosen, platform
        self.read = config.Read("none", {}, "")
        self.platforms = [one.platform for one in offers_of(top, []) if one.platform]

    @property
    def layers(self) -> list[Descriptor]:
        """The layers, each digest once."""
        if self.chosen is None:
            return []
        found = [one for one in self.chosen.manifest.references if one.kind == "layer"]
        return list({one.digest: one for one in found}.values())

    def side(self) -> Side:
        """For the answer."""
        size = 0
        if self.chosen is not None:
            parts = {one.digest: one.size for one in self.chosen.manifest.references}
            size = len(self.chosen.row.body) + sum(parts.values())
        return Side(
            digest=str(self.top.digest),
            image="" if self.chosen is None else str(self.chosen.digest),
            platform=self.platform,
            size=size,
            layers=len(self.layers),
            config_state=self.read.state,
        )


async def compare(
    resources: Resources,
    repository: str,
    a: Digest | str,
    b: Digest | str,
    *,
    platform: str | None = None,
    reveal: bool = False,
) -> Comparison:
    """Compare two tags or digests of a repository; raise ManifestUnknown or InvalidRequest."""
    one = await _half(resources, repository, a, platform)
    other = await _half(resources, repository, b, platform, like=one.platform)
    layers = _layers(one.layers, other.layers)
    sizes = {where: _bytes(layers, where) for where in ("both", "a", "b")}
    sides = one.side(), other.side()
    platforms_a, platforms_b = dict.fromkeys(one.platforms), dict.fromkeys(other.platforms)
    return Comparison(
        a=sides[0],
        b=sides[1],
        same=one.top.digest == other.top.digest,
        config=tuple(_changes(one.read.fields, other.read.fields, reveal=reveal)),
        layers=tuple(layers[:LAYERS]),
        shared_bytes=sizes["both"],
        added_bytes=sizes["b"],
        removed_bytes=sizes["a"],
        size_change=sides[1].size - sides[0].size,
        platforms_both=tuple(text for text in platforms_a if text in platforms_b),
        platforms_a=tuple(text for text in platforms_a if text not in platforms_b),
        platforms_b=tuple(text for text in platforms_b if text not in platforms_a),
    )


async def _half(
    resources: Resources,
    repository: str,
    reference: Digest | str,
    platform: str | None,
    *,
    like: str = "",
) -> _Half:
    """`like` is the platform of the other half, which this one takes, too, if it has it."""
    top = await opened(resources, repository, reference)
    if platform is None and like in [offer.platform for offer in offers_of(top, [])]:
        platform = like or None
    half = _Half(top, *await choose(resources, repository, top, platform))
    if half.chosen is not None:
        first = half.chosen.manifest.references[0]
        half.read = await config.read(resources, repository, first.digest)
        if half.read.fields and not half.platform:
            half.platform = config.shown(half.read.fields, reveal=False).platform
    return half


def _layers(a: Sequence[Descriptor], b: Sequence[Descriptor]) -> list[LayerChange]:
    """Shared and removed ones in the order of a, then what b adds."""
    in_a, in_b = {one.digest for one in a}, {one.digest for one in b}

    def change(one: Descriptor, where: Where) -> LayerChange:
        return LayerChange(where, str(one.digest), one.media_type, one.size)

    first = [change(one, "both" if one.digest in in_b else "a") for one in a]
    return first + [change(one, "b") for one in b if one.digest not in in_a]


def _bytes(layers: Sequence[LayerChange], where: str) -> int:
    return sum(one.size for one in layers if one.where == where)


def _changes(a: Mapping[str, object], b: Mapping[str, object], *, reveal: bool) -> list[Change]:
    """Compared as they are, shown as they may be."""
    real = _flat(config.shown(a, reveal=True)), _flat(config.shown(b, reveal=True))
    shown = real
    if not reveal:
        shown = _flat(config.shown(a, reveal=False)), _flat(config.shown(b, reveal=False))
    order = Config.__struct_fields__.index
    keys = sorted(dict.fromkeys((*real[0], *real[1])), key=lambda key: order(key[0]))
    return [
        Change(*key, shown[0].get(key), shown[1].get(key))
        for key in keys
        if real[0].get(key) != real[1].get(key)
    ]


def _flat(one: Config) -> dict[tuple[str, str], str]:
    """Field and name to value; of a list, its JSON."""
    found: dict[tuple[str, str], str] = {}
    for field in one.__struct_fields__:
        value = getattr(one, field)
        if isinstance(value, str):
            if value:
                found[field, ""] = value
        elif field in ("env", "labels"):
            found |= {(field, each.name): each.value for each in value}
        elif field in ("ports", "volumes"):
            found |= {(field, each): each for each in value}
        elif value:
            found[field, ""] = msgspec.json.encode(value).decode()
    return found
