"""What wrk prints becomes figures, or a plain failure."""

import pytest

from bench.loaders import LoadError, parse_wrk

GOOD = """\
Running 3s test @ http://127.0.0.1:5055/v2/x/blobs/sha256:57
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    25.86ms   19.28ms 153.85ms   66.74%
    Req/Sec     1.32k   198.54     1.72k    66.67%
  Latency Distribution
     50%   23.74ms
     75%   38.00ms
     90%   51.29ms
     99%    1.08s
  3952 requests in 3.01s, 5.48MB read
Requests/sec:   1313.48
Transfer/sec:      1.82MB
"""


def test_count_seconds_and_latencies() -> None:
    work = parse_wrk(GOOD)
    assert (work.count, work.seconds) == (3952, 3.01)
    assert work.p50 == pytest.approx(0.02374)
    assert work.p99 == pytest.approx(1.08)


@pytest.mark.parametrize(
    "line",
    ["  Non-2xx or 3xx responses: 7", "  Socket errors: connect 0, read 1, write 0, timeout 0"],
)
def test_a_failed_request_spoils_the_run(line: str) -> None:
    with pytest.raises(LoadError, match="under load"):
        parse_wrk(f"{GOOD}{line}\n")


def test_no_request_is_a_failure() -> None:
    with pytest.raises(LoadError, match="no request"):
        parse_wrk("  0 requests in 1.00s, 0B read\n")
