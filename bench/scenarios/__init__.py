"""THE SCENARIO TABLE: what is measured, in the order in which it is shown; one file a part."""

from bench.scenarios.rows import (
    blobs,
    clients,
    images,
    inside,
    lists,
    pages,
    requests,
    scaling,
    searches,
    starts,
    streams,
    tls,
    tokens,
    zb,
)
from bench.scenarios.scenario import Scenario
from bench.settings import Settings

PARTS = (
    blobs.rows,
    streams.rows,
    images.rows,
    clients.rows,
    requests.rows,
    tokens.rows,
    tls.rows,
    scaling.rows,
    lists.rows,
    searches.rows,
    pages.rows,
    inside.rows,
    zb.rows,
    starts.rows,
)


def scenarios(settings: Settings) -> tuple[Scenario, ...]:
    """Every row; the goals are ratios to distribution."""
    return tuple(row for part in PARTS for row in part(settings))
