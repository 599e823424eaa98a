"""The same over TLS; one certificate for each server, of the same kind."""

from dataclasses import replace

from bench import figures
from bench.figures import Figure
from bench.peers import TLS
from bench.scenarios import requests
from bench.scenarios.rows.blobs import pull, push
from bench.scenarios.rows.requests import rate
from bench.scenarios.scenario import Scenario
from bench.settings import Settings

GROUP = "Over TLS"


def rows(settings: Settings) -> tuple[Scenario, ...]:
    """Manifests, and the large blobs."""
    manifest = rate("manifest", "manifest GET by tag", requests.manifest_by_tag, 1.0)
    bodies = (
        replace(row(load), figures=_figures(drawn=load == settings.blobs[-1]))
        for load in settings.blobs[2:]
        for row in (push, pull)
    )
    return tuple(
        replace(row, key=f"tls-{row.key}", title=f"{row.title}, TLS", group=GROUP, mode=TLS)
        for row in (manifest, *bodies)
    )


def _figures(*, drawn: bool) -> tuple[Figure, ...]:
    return figures.throughput(goal=1.0, drawn=drawn), figures.cpu_per_gib(), figures.memory()
