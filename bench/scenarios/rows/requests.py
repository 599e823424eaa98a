"""Small requests, many of them."""

from dataclasses import replace

from bench import figures
from bench.peers import READ
from bench.scenarios import requests
from bench.scenarios.scenario import Prepare, Scenario
from bench.settings import Settings

GROUP = "Requests"


def rows(settings: Settings) -> tuple[Scenario, ...]:
    """Manifests, blobs, a list."""
    limited = (
        rate("manifest-tag", "manifest GET by tag", requests.manifest_by_tag, 2.5),
        rate("manifest-digest", "manifest GET by digest", requests.manifest_by_digest, 2.0),
        rate("blob-head", "blob HEAD", requests.blob_head, 2.5, needs=()),
        rate("blob-get", "GET of a 1 KiB blob", requests.blob_get, 5.0),
    )
    return (
        *(replace(row, limited=True) for row in limited),
        rate("tags", f"list of {settings.listed_tags} tags", requests.tags_list, 2.5),
    )


def rate(
    key: str, title: str, prepare: Prepare, goal: float | None, needs: tuple[str, ...] = ("wrk",)
) -> Scenario:
    """Requests a second, and what each costs."""
    read = (
        figures.rate("requests/s", goal=goal),
        figures.p50(),
        figures.p99(goal=1.0),
        figures.cpu_each(),
        figures.memory(),
    )
    return Scenario(key, title, GROUP, prepare, read, READ, needs)
