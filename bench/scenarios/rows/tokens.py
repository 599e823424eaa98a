"""Servers that ask for a token; what it costs is in each request."""

from dataclasses import replace

from bench import figures
from bench.peers import PASSWORDS, TOKENS
from bench.scenarios import attacks, requests
from bench.scenarios.rows.requests import rate
from bench.scenarios.scenario import Scenario
from bench.settings import Settings

GROUP = "Requests with a bearer token"


def rows(_settings: Settings) -> tuple[Scenario, ...]:
    """Manifests in peace, and beside bad logins."""
    by_tag, by_digest = requests.manifest_by_tag, requests.manifest_by_digest
    asked = (
        rate("bearer-tag", "manifest GET by tag, bearer", by_tag, 2.0),
        rate("bearer-digest", "manifest GET by digest, bearer", by_digest, 2.0),
    )
    return (
        *(replace(row, group=GROUP, mode=TOKENS) for row in asked),
        Scenario(
            "bad-logins",
            "GET beside 500 bad logins at once",
            GROUP,
            attacks.bad_logins,
            (
                figures.rate("requests/s", drawn=False),
                figures.p99(),
                figures.alone_p99(),
                figures.slowdown(limit=2),
            ),
            PASSWORDS,
            ("wrk",),
            TOKENS,
        ),
    )
