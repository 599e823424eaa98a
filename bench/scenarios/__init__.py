"""THE SCENARIO TABLE: what is measured, in the order in which it is shown."""

from dataclasses import replace
from functools import partial

from bench import figures
from bench.figures import Figure
from bench.peers import PASSWORDS, READ, TLS, TOKENS, WRITE
from bench.scenarios import attacks, image_pushes, requests, starts, transfers
from bench.scenarios.scenario import Prepare, Scenario
from bench.settings import MIB, BlobLoad, Settings

PUSH = "Push, one stream"
PULL = "Pull, one stream"
IMAGES = "Small images, 8 clients at once"
REQUESTS = "Requests"
TOKENED = "Requests with a bearer token"
SECURED = "Over TLS"
START = "Start and idle"

# Bodies from this size on are told in MiB/s and CPU s/GiB, smaller ones in pieces a second.
LARGE = MIB
HUGE = 1024 * MIB


def scenarios(settings: Settings) -> tuple[Scenario, ...]:
    """Every row; the goals are ratios to distribution."""
    return (
        *(_push(load) for load in settings.blobs),
        *(_push_chunked(load) for load in settings.blobs[2:3]),
        *(_pull(load) for load in settings.blobs),
        _images(
            "distinct",
            "image push, own repositories",
            image_pushes.distinct,
            2.5,
        ),
        _images("shared", "image push, one repository", image_pushes.shared, None),
        _rate("manifest-tag", "manifest GET by tag", requests.manifest_by_tag, 2.5),
        _rate("manifest-digest", "manifest GET by digest", requests.manifest_by_digest, 2.0),
        _rate("blob-head", "blob HEAD", requests.blob_head, 2.5, needs=()),
        _rate("blob-get", "GET of a 1 KiB blob", requests.blob_get, 5.0),
        _rate("tags", f"list of {settings.listed_tags} tags", requests.tags_list, 2.5),
        *_with_tokens(),
        *_over_tls(settings.blobs[2]),
        Scenario("start", "cold start", START, starts.start, _start_figures()),
    )


def _with_tokens() -> tuple[Scenario, ...]:
    """Both servers ask for a token; what it costs is in each request."""
    by_tag, by_digest = requests.manifest_by_tag, requests.manifest_by_digest
    rows = (
        _rate("bearer-tag", "manifest GET by tag, bearer", by_tag, 2.0),
        _rate("bearer-digest", "manifest GET by digest, bearer", by_digest, 2.0),
    )
    return (
        *(replace(row, group=TOKENED, mode=TOKENS) for row in rows),
        Scenario(
            "bad-logins",
            "GET beside 500 bad logins at once",
            TOKENED,
            attacks.bad_logins,
            (
                figures.rate("requests/s"),
                figures.p99(),
                figures.alone_p99(),
                figures.slowdown(limit=2),
            ),
            PASSWORDS,
            ("wrk",),
            TOKENS,
        ),
    )


def _over_tls(load: BlobLoad) -> tuple[Scenario, ...]:
    """One certificate for each, of the same kind."""
    read = figures.throughput(goal=1.0), figures.cpu_per_gib(), figures.memory()
    rows = (
        _rate("tls-manifest", "manifest GET by tag, TLS", requests.manifest_by_tag, 1.0),
        replace(_push(load), key="tls-push", title=f"push {load.label}, TLS", figures=read),
        replace(_pull(load), key="tls-pull", title=f"pull {load.label}, TLS", figures=read),
    )
    return tuple(replace(row, group=SECURED, mode=TLS) for row in rows)


def _push(load: BlobLoad) -> Scenario:
    prepare = partial(transfers.push, load=load)
    return Scenario(
        f"push-{load.key}", f"push {load.label}", PUSH, prepare, _push_figures(load), WRITE
    )


def _push_chunked(load: BlobLoad) -> Scenario:
    """The form in which docker sends a layer: in chunks of 32 KiB, its length unknown."""
    prepare = partial(transfers.push, load=load, chunked=True)
    title = f"push {load.label}, chunked coding"
    return Scenario(f"push-{load.key}-chunked", title, PUSH, prepare, _push_figures(load), WRITE)


def _pull(load: BlobLoad) -> Scenario:
    prepare = partial(transfers.pull, load=load)
    return Scenario(
        f"pull-{load.key}", f"pull {load.label}", PULL, prepare, _pull_figures(load), READ
    )


def _push_figures(load: BlobLoad) -> tuple[Figure, ...]:
    if load.size < LARGE:
        return figures.rate("pushes/s"), figures.p99(), figures.cpu_each()
    if load.size < HUGE:
        return figures.throughput(), figures.cpu_per_gib(), figures.memory()
    cpu = figures.cpu_per_gib(goal=0.8, drawn=True)
    return figures.seconds(goal=0.6), cpu, figures.memory()


def _pull_figures(load: BlobLoad) -> tuple[Figure, ...]:
    if load.size < LARGE:
        return figures.rate("pulls/s"), figures.p99(), figures.cpu_each()
    if load.size < HUGE:
        return figures.throughput(), figures.cpu_per_gib(), figures.memory()
    cpu = figures.cpu_per_gib(goal=0.9, drawn=True)
    return figures.throughput(goal=1.0), cpu, figures.memory()


def _images(key: str, title: str, prepare: Prepare, goal: float | None) -> Scenario:
    read = (
        figures.rate("images/s", goal=goal),
        figures.p50(),
        figures.p99(),
        figures.cpu_each(),
        figures.memory(),
    )
    return Scenario(f"images-{key}", title, IMAGES, prepare, read, WRITE)


def _rate(
    key: str, title: str, prepare: Prepare, goal: float, needs: tuple[str, ...] = ("wrk",)
) -> Scenario:
    read = (
        figures.rate("requests/s", goal=goal),
        figures.p50(),
        figures.p99(goal=1.0),
        figures.cpu_each(),
        figures.memory(),
    )
    return Scenario(key, title, REQUESTS, prepare, read, READ, needs)


def _start_figures() -> tuple[Figure, ...]:
    return figures.seconds(limit=1.0), figures.memory("idle memory", drawn=True)
