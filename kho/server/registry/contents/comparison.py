"""Two images beside each other: config, layers, sizes, platforms. Files: kho/server/index/files."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from kho.oci.digest import Digest
from kho.oci.manifest import Descriptor
from kho.server.registry.aside import aside
from kho.server.registry.contents import config
from kho.server.registry.contents.bounds import ENTRIES, NAME, cut
from kho.server.registry.contents.config import Config, Setting, State
from kho.server.registry.contents.opening import Opened, choose, offers_of, opened
from kho.server.resources import Resources

LAYERS: Final = 200
PLATFORMS: Final = 100

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

    None is absent. Values that look secret are masked on both sides, and still differ. `left_out`
    counts the characters of both that are not told here.
    """

    field: str
    name: str
    a: str | None
    b: str | None
    left_out: int


class LayerChange(msgspec.Struct, frozen=True):
    """A layer and where it is; of one side in the order of that side, b's where both have it."""

    where: Where
    digest: str
    media_type: str
    size: int


class Comparison(msgspec.Struct, frozen=True):
    """a and b; bytes are of layers, each digest once. `platforms_…`: only in that index.

    `left_out` counts, by the name of the field, the entries of lists that are not told here.
    """

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
    left_out: dict[str, int]


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
            size = self.chosen.size + sum(parts.values())
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
    weight = len(one.read.text) + len(other.read.text)
    changes, more_changes = await aside(
        resources, weight, _changes, one.read.fields, other.read.fields, reveal
    )
    both, only_a, only_b = _platforms(one.platforms, other.platforms)
    left_out = {
        "config": more_changes,
        "layers": len(layers) - LAYERS,
        "platforms_both": len(both) - PLATFORMS,
        "platforms_a": len(only_a) - PLATFORMS,
        "platforms_b": len(only_b) - PLATFORMS,
    }
    return Comparison(
        a=sides[0],
        b=sides[1],
        same=one.top.digest == other.top.digest,
        config=tuple(changes),
        layers=tuple(layers[:LAYERS]),
        shared_bytes=sizes["both"],
        added_bytes=sizes["b"],
        removed_bytes=sizes["a"],
        size_change=sides[1].size - sides[0].size,
        platforms_both=tuple(both[:PLATFORMS]),
        platforms_a=tuple(only_a[:PLATFORMS]),
        platforms_b=tuple(only_b[:PLATFORMS]),
        left_out={field: count for field, count in left_out.items() if count > 0},
    )


def _platforms(a: list[str], b: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Those of both, of a alone, of b alone, each once."""
    in_a, in_b = dict.fromkeys(a), dict.fromkeys(b)
    both = [one for one in in_a if one in in_b]
    return both, [one for one in in_a if one not in in_b], [one for one in in_b if one not in in_a]


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


def _changes(
    a: Mapping[str, object], b: Mapping[str, object], reveal: bool
) -> tuple[list[Change], int]:
    """Compared as they are, shown as they may be; and how many are not shown."""
    real = config.settings(a), config.settings(b)
    order = Config.__struct_fields__.index
    names = dict.fromkeys((*real[0], *real[1]))
    differing = [key for key in names if real[0].get(key) != real[1].get(key)]
    differing.sort(key=lambda key: order(key[0]))
    shown = _Shown(a, reveal), _Shown(b, reveal)
    changes = [
        _change(key, shown[0].value(key, real[0].get(key)), shown[1].value(key, real[1].get(key)))
        for key in differing[:ENTRIES]
    ]
    return changes, max(0, len(differing) - ENTRIES)


def _change(key: Setting, a: tuple[str | None, int], b: tuple[str | None, int]) -> Change:
    name, left = cut(key[1], NAME)
    return Change(key[0], name, a[0], b[0], left + a[1] + b[1])


class _Shown:
    """Values of one config as they may be shown."""

    def __init__(self, fields: Mapping[str, object], reveal: bool) -> None:
        self._reveal = reveal
        self._told = config.shown(fields, reveal=reveal)

    def value(self, key: Setting, real: str | None) -> tuple[str | None, int]:
        """The value, and how many characters of it are left out; None is absent."""
        field, name = key
        if real is None:
            return None, 0
        if field in config.LISTED:
            return name[:NAME], 0
        if field in config.PAIRED:
            _, value, _, hidden, _ = config.flagged(name, real, reveal=self._reveal)
            return value, 0 if hidden else len(real) - len(value)
        told = getattr(self._told, field)
        left = self._told.left_out.get(field, 0)
        return (told if isinstance(told, str) else msgspec.json.encode(told).decode()), left
