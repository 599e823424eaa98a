"""How much is measured: sizes, counts and seconds of a full and of a quick run."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class BlobLoad:
    """Blobs of one size: how many are moved in one timed run."""

    key: str
    label: str
    size: int
    pushes: int
    pulls: int


@dataclass(frozen=True, slots=True)
class SpanLoad:
    """Parts of one blob, side by side: `count` of them, of `size` bytes each."""

    label: str
    size: int
    count: int


@dataclass(frozen=True, slots=True)
class ListLoad:
    """How much is listed, and how often each page is asked for in one timed run."""

    repositories: int
    tags: int
    referrers: int
    turns: int = 0


@dataclass(frozen=True, slots=True)
class ZbLoad:
    """What zb is told: clients at once, sizes, repositories that the catalog lists."""

    clients: int
    repositories: int
    sizes: tuple[BlobLoad, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """The amounts of one run; `warm_up` and `rate_seconds` are seconds of load."""

    repeats: int
    blobs: tuple[BlobLoad, ...]
    streams: BlobLoad
    stream_clients: int
    spans: SpanLoad
    image_clients: int
    images_per_client: int
    connections: int
    rate_seconds: int
    warm_up: int
    listed_tags: int
    intruders: int
    # Images that a client copies one after another in one timed run; 0: layers of a real Debian.
    image_copies: int
    image_layer: int
    zb: ZbLoad
    lists: ListLoad


FULL = Settings(
    repeats=3,
    blobs=(
        BlobLoad("1k", "1 KiB", KIB, 300, 2000),
        BlobLoad("1m", "1 MiB", MIB, 64, 400),
        BlobLoad("100m", "100 MiB", 100 * MIB, 3, 10),
        BlobLoad("1g", "1 GiB", GIB, 1, 4),
    ),
    streams=BlobLoad("64x100m", "100 MiB", 100 * MIB, 1, 1),
    stream_clients=64,
    spans=SpanLoad("100 MiB", 100 * MIB, 10),
    image_clients=8,
    images_per_client=60,
    connections=32,
    rate_seconds=4,
    warm_up=1,
    listed_tags=100,
    intruders=500,
    image_copies=3,
    image_layer=0,
    zb=ZbLoad(
        clients=2,
        repositories=100,
        sizes=(
            BlobLoad("1m", "1 MiB", MIB, 64, 200),
            BlobLoad("10m", "10 MiB", 10 * MIB, 12, 60),
            BlobLoad("100m", "100 MiB", 100 * MIB, 2, 10),
        ),
    ),
    lists=ListLoad(repositories=100_000, tags=1_000_000, referrers=10_000, turns=300),
)
QUICK = Settings(
    repeats=2,
    blobs=(
        BlobLoad("1k", "1 KiB", KIB, 50, 200),
        BlobLoad("1m", "1 MiB", MIB, 10, 40),
        BlobLoad("16m", "16 MiB", 16 * MIB, 2, 4),
    ),
    streams=BlobLoad("64x4m", "4 MiB", 4 * MIB, 1, 1),
    stream_clients=64,
    spans=SpanLoad("4 MiB", 4 * MIB, 4),
    image_clients=8,
    images_per_client=5,
    connections=32,
    rate_seconds=1,
    warm_up=0,
    listed_tags=100,
    intruders=500,
    image_copies=2,
    image_layer=256 * KIB,
    zb=ZbLoad(clients=2, repositories=20, sizes=(BlobLoad("1m", "1 MiB", MIB, 10, 30),)),
    lists=ListLoad(repositories=2_000, tags=20_000, referrers=500, turns=50),
)
