"""Metrics: right over several processes, bounded series, readable by Prometheus' own parser."""

import os
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kho import __version__
from kho.server import metrics

Labels = frozenset[tuple[str, str]]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    metrics.declare_routes(["manifest", "blob"])
    metrics.share(4)
    yield
    metrics.share(1)


def samples() -> dict[tuple[str, Labels], float]:
    text = metrics.render_metrics().decode("ascii")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(name: str, **labels: str) -> float:
    return samples().get((name, frozenset(labels.items())), 0.0)


def in_child(slot: int) -> None:
    """Count two requests in another process, which then dies with one still in flight."""
    pid = os.fork()
    if not pid:
        metrics.use_slot(slot)
        for _ in range(3):
            metrics.request_started()
        for _ in range(2):
            metrics.observe_request("manifest", "GET", 200, 0.002, 10, 100)
            metrics.request_ended()
        metrics.count("kho_uploads_started_total")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def test_processes_are_added_up() -> None:
    in_child(1)
    in_child(2)
    metrics.observe_request("manifest", "GET", 200, 0.002, 10, 100)
    labels = {"route": "manifest", "method": "GET", "status": "200"}
    assert value("kho_http_requests_total", **labels) == 5
    assert value("kho_http_received_bytes_total", route="manifest") == 50
    assert value("kho_http_sent_bytes_total", route="manifest") == 500
    assert value("kho_http_request_seconds_count", route="manifest") == 5
    assert value("kho_http_request_seconds_sum", route="manifest") == pytest.approx(0.01)
    assert value("kho_uploads_started_total") == 2


def test_the_counters_of_the_dead_stay_and_their_gauges_go() -> None:
    in_child(1)
    in_child(2)
    assert value("kho_requests_in_flight") == 2
    metrics.forget_gauges(1)
    assert value("kho_requests_in_flight") == 1
    in_child(1)
    labels = {"route": "manifest", "method": "GET", "status": "200"}
    assert value("kho_http_requests_total", **labels) == 6


def test_buckets_are_cumulative() -> None:
    for seconds in (0.0, 0.001, 0.0011, 0.2, 299.0, 301.0):
        metrics.observe_request("blob", "GET", 206, seconds, 0, 0)
    found = {
        bound: value("kho_http_request_seconds_bucket", route="blob", le=bound)
        for bound in ("0.001", "0.0025", "0.25", "300.0", "+Inf")
    }
    assert found == {"0.001": 2, "0.0025": 3, "0.25": 4, "300.0": 5, "+Inf": 6}


def test_c6_nothing_that_a_client_sends_becomes_a_series() -> None:
    metrics.observe_request("other", "GET", 200, 0.1, 1, 1)
    metrics.observe_request("other", "other", 0, 0.1, 1, 1)
    count = len(samples())
    for number in range(10_000):
        metrics.observe_request(f'team/"{number}', f"METHOD{number}", 1000 + number, 0.1, 1, 1)
    assert len(samples()) == count
    labels = {"route": "other", "method": "other", "status": "other"}
    assert value("kho_http_requests_total", **labels) == 10_001


def test_every_family_is_described_once() -> None:
    text = metrics.render_metrics().decode("ascii")
    named = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(named) == len(set(named))
    assert value("kho_build_info", version=__version__) == 1
    assert all(name in named for name in (*metrics.GAUGES, *metrics.COUNTERS))


def test_an_undeclared_counter_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        metrics.count("kho_coffee_total")


def test_there_is_room_for_so_many_routes() -> None:
    with pytest.raises(ValueError, match="more than 64"):
        metrics.declare_routes(f"route{number}" for number in range(100))
    assert value("kho_build_info", version=__version__) == 1
