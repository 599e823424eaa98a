"""The same over TLS; one certificate for each server, of the same kind."""

from dataclasses import replace

from bench import figures
from bench.peers import TLS
from bench.scenarios import requests
from bench.scenarios.rows.blobs import pull, push
from bench.scenarios.rows.requests import rate
from bench.scenarios.scenario import Scenario
from bench.settings import Settings

GROUP = "Over TLS"


def rows(settings: Settings) -> tuple[Scenario, ...]:
    """Manifests, and blobs of the third size."""
    load = settings.blobs[2]
    read = figures.throughput(goal=1.0), figures.cpu_per_gib(), figures.memory()
    found = (
        rate("tls-manifest", "manifest GET by tag, TLS", requests.manifest_by_tag, 1.0),
        replace(push(load), key="tls-push", title=f"push {load.label}, TLS", figures=read),
        replace(pull(load), key="tls-pull", title=f"pull {load.label}, TLS", figures=read),
    )
    return tuple(replace(row, group=GROUP, mode=TLS) for row in found)
