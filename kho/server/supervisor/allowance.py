"""How many connections a worker can afford with the descriptors that the system allows it.

A worker without a free descriptor is deaf: Granian asks again and again for a connection that it
cannot take, and nothing can be opened to answer those it has. So it takes fewer than that, the
others wait in the listener's queue, and where they are very few, idle ones make room soon.
"""

import resource
from dataclasses import replace
from typing import Final

from kho.server import telemetry
from kho.server.settings import HttpSettings

# What a worker has open by itself (44), and the files and folders of 16 storage threads.
RESERVE: Final = 96
# A connection, and the file that it reads or writes.
EACH: Final = 2
FEWEST: Final = 8
SCARCE: Final = 512
SCARCE_IDLE_SECONDS: Final = 5.0


def affordable(http: HttpSettings) -> HttpSettings:
    """The settings, with fewer connections and less patience where descriptors are few."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return http
    connections = max((allowed - RESERVE) // EACH, FEWEST)
    if connections >= http.max_connections:
        return http
    longest = SCARCE_IDLE_SECONDS if connections < SCARCE else http.header_seconds
    patience = min(http.header_seconds, longest)
    telemetry.log_event(
        "few descriptors",
        "warning",
        allowed=allowed,
        connections=connections,
        wanted=http.max_connections,
        idle_seconds=patience,
    )
    return replace(http, max_connections=connections, header_seconds=patience)
