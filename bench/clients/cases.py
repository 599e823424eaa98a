"""THE CASE TABLE: what the clients are asked to do, with which image, and what is wanted of kho."""

import gzip
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import zstandard

from bench.clients.tools import PULL, PUSH, START, UNPACK
from bench.layouts import Images, Layout, one_layer
from bench.settings import GIB, MIB, Settings

MAKER = ("debootstrap", "umoci", "root")


@dataclass(frozen=True, slots=True)
class Goals:
    """`time` as a ratio to the best other; `memory` in MiB and `start` in ms by itself."""

    time: float | None = None
    memory: float | None = None
    milliseconds: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One row. `image` makes the layout of a round; a pull's is pushed by `kho` first."""

    key: str
    title: str
    job: str
    goals: Goals
    image: Callable[["Stock", int], Layout] | None = None
    needs: tuple[str, ...] = ()
    # How often in one timed run.
    times: int = 1
    # The others cannot do it.
    alone: bool = False


class Stock:
    """The images of a run, made when they are asked for."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder
        self._settings = settings
        self._images: Images | None = None
        self._made: dict[str, Layout] = {}

    def new(self, stamp: int) -> Layout:
        """A copy of the image that no registry has seen."""
        return self._all().copies(stamp, 1)[0]

    def same(self, _stamp: int) -> Layout:
        """The image as it is."""
        return self._all().source

    def zstd(self, _stamp: int) -> Layout:
        """The same with layers of zstd."""
        return self._once("zstd", lambda folder: _recompressed(self._all().source, folder))

    def large(self, _stamp: int) -> Layout:
        """One layer that is larger than memory should be."""
        size = 64 * MIB if self._settings.image_layer else 2 * GIB
        return self._once("large", lambda folder: one_layer(folder, size))

    def close(self) -> None:
        """Remove them."""
        if self._images is not None:
            self._images.close()
        for layout in self._made.values():
            shutil.rmtree(layout.folder)

    def _all(self) -> Images:
        if self._images is None:
            self._images = Images(self._folder / "images", self._settings.image_layer)
        return self._images

    def _once(self, name: str, make: Callable[[Path], Layout]) -> Layout:
        if name not in self._made:
            self._made[name] = make(self._folder / name)
        return self._made[name]


def cases(settings: Settings) -> tuple[Case, ...]:
    """Every row."""
    maker = () if settings.image_layer else MAKER
    what = "ten small layers" if settings.image_layer else "Debian, 250 MB in ten layers,"
    large = "64 MiB" if settings.image_layer else "2 GiB"
    even, flat = Goals(time=1.0, memory=200), Goals(memory=200)
    return (
        Case("client-pull", f"{what} into a layout", PULL, even, Stock.new, maker),
        Case("client-push", f"{what} from a layout", PUSH, even, Stock.new, maker),
        Case("client-unpack", f"{what} unpacked", UNPACK, even, Stock.same, (*maker, "root")),
        Case(
            "client-unpack-zstd",
            f"{what} unpacked, layers of zstd",
            UNPACK,
            flat,
            Stock.zstd,
            (*maker, "root"),
            alone=True,
        ),
        Case("client-large-pull", f"a layer of {large} into a layout", PULL, flat, Stock.large),
        Case("client-large-push", f"a layer of {large} from a layout", PUSH, flat, Stock.large),
        Case("client-start", "version", START, Goals(milliseconds=80), times=10),
    )


def _recompressed(source: Layout, folder: Path) -> Layout:
    """Its layers with zstd instead of gzip."""
    return source.rewritten(folder, _zstd, "application/vnd.oci.image.layer.v1.tar+zstd")


def _zstd(layer: bytes) -> bytes:
    return zstandard.compress(gzip.decompress(layer), 3)
