"""Figures for Prometheus, kept in memory that all workers share: no files, no client library.

Each process owns one slab of a shared anonymous map and writes only there; a scrape adds the
slabs up, whichever worker answers it. A slab outlives its process, so counters never fall.

    slab = requests[route][method][status] | seconds[route][bucket] | sums[route] x 3 | counters
"""

import mmap
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final

from kho import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_ROUTES = 64
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")
# fmt: off
STATUSES: Final = (
    200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409,
    411, 412, 413, 414, 415, 416, 421, 422, 429, 431, 499, 500, 501, 502, 503, 504, 505, 507, 0,
)
BUCKETS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
)
# fmt: on
GAUGES: Final = {"kho_requests_in_flight": "Requests that are being answered."}
COUNTERS: Final = {
    "kho_uploads_started_total": "Uploads begun.",
    "kho_uploads_finished_total": "Uploads finished with a stored blob.",
    "kho_uploads_cancelled_total": "Uploads cancelled by their client.",
    "kho_uploads_expired_total": "Uploads removed because they were abandoned.",
    "kho_blobs_damaged_total": "Blobs found damaged or missing while they were asked for.",
    "kho_manifests_damaged_total": "Manifests found damaged while they were asked for.",
    "kho_audit_dropped_total": "Events of the audit trail that could not be kept.",
    "kho_pulls_uncounted_total": "Pulls that statistics leave out for want of memory.",
    "kho_worker_exits_total": "Worker processes that ended unexpectedly.",
}

_METHOD = {name: number for number, name in enumerate(METHODS)}
_STATUS = {status: number for number, status in enumerate(STATUSES)}
_OTHER_METHOD = len(METHODS) - 1
_OTHER_STATUS = len(STATUSES) - 1
_ROW = len(METHODS) * len(STATUSES)
_SPAN = len(BUCKETS) + 1
_SECONDS = MAX_ROUTES * _ROW
_SUMS = _SECONDS + MAX_ROUTES * _SPAN
_NAMED = _SUMS + MAX_ROUTES * 3
_PLACE = {name: _NAMED + number for number, name in enumerate((*GAUGES, *COUNTERS))}
_IN_FLIGHT = _PLACE["kho_requests_in_flight"]
_SLAB = _NAMED + len(_PLACE)
_ROUTE = {"other": 0}


class _Shared:
    """The map, and the slab of this process; forked workers inherit the map."""

    slots = 1
    slabs = memoryview(mmap.mmap(-1, _SLAB * 8)).cast("d")
    slab = slabs


def declare_routes(names: Iterable[str]) -> None:
    """Name the routes of the URL table, in the same order in every process."""
    fresh = [name for name in dict.fromkeys(names) if name not in _ROUTE]
    if len(_ROUTE) + len(fresh) > MAX_ROUTES:
        raise ValueError(f"{len(_ROUTE) + len(fresh)} routes are more than {MAX_ROUTES}")
    for name in fresh:
        _ROUTE[name] = len(_ROUTE)


def share(slots: int) -> None:
    """Start from zero with `slots` slabs; call it before any worker is forked."""
    _Shared.slots = slots
    _Shared.slabs = memoryview(mmap.mmap(-1, slots * _SLAB * 8)).cast("d")
    use_slot(0)


def use_slot(slot: int) -> None:
    """Write to this slab from now on; no other living process may use it."""
    _Shared.slab = _Shared.slabs[slot * _SLAB : (slot + 1) * _SLAB]


def forget_gauges(slot: int) -> None:
    """Zero what a dead process left in its gauges."""
    for name in GAUGES:
        _Shared.slabs[slot * _SLAB + _PLACE[name]] = 0.0


def request_started() -> None:
    """One more request is in flight; `request_ended` must follow."""
    _Shared.slab[_IN_FLIGHT] += 1


def request_ended() -> None:
    """One request less is in flight."""
    _Shared.slab[_IN_FLIGHT] -= 1


def observe_request(
    route: str, method: str, status: int, seconds: float, received: int, sent: int
) -> None:
    """Count a finished request. An undeclared route, method or status counts as other."""
    slab = _Shared.slab
    number = _ROUTE.get(route, 0)
    place = _METHOD.get(method, _OTHER_METHOD) * len(STATUSES) + _STATUS.get(status, _OTHER_STATUS)
    slab[number * _ROW + place] += 1
    slab[_SECONDS + number * _SPAN + bisect_left(BUCKETS, seconds)] += 1
    sums = _SUMS + number * 3
    slab[sums] += seconds
    slab[sums + 1] += received
    slab[sums + 2] += sent


def count(name: str, amount: float = 1) -> None:
    """Add to one of COUNTERS (KeyError for another), on the event loop's thread."""
    _Shared.slab[_PLACE[name]] += amount


def render_metrics() -> bytes:
    """All figures of all workers in Prometheus' text format."""
    total = _total()
    lines = [*_head("kho_build_info", "gauge", "The running program."), _build_info()]
    lines += _head("kho_http_requests_total", "counter", "Requests finished.")
    lines += _requests(total)
    lines += _head("kho_http_request_seconds", "histogram", "Time from first to last byte.")
    lines += _histograms(total)
    for column, (name, text) in enumerate(
        (
            ("kho_http_received_bytes_total", "Bytes of request bodies."),
            ("kho_http_sent_bytes_total", "Bytes of response bodies."),
        ),
        start=1,
    ):
        lines += _head(name, "counter", text)
        for route, number in _ROUTE.items():
            value = total[_SUMS + number * 3 + column]
            if value:
                lines.append(f'{name}{{route="{route}"}} {value:.0f}')
    for name, place in _PLACE.items():
        kind = "gauge" if name in GAUGES else "counter"
        lines += _head(name, kind, GAUGES.get(name) or COUNTERS[name])
        lines.append(f"{name} {max(total[place], 0):.0f}")
    return ("\n".join(lines) + "\n").encode("ascii")


def _total() -> list[float]:
    slabs = _Shared.slabs
    if _Shared.slots == 1:
        return list(slabs)
    used = [slabs[start : start + _SLAB] for start in range(0, len(slabs), _SLAB)]
    total = [0.0] * _SLAB
    blank = bytes(_ROW * 8)
    for slab in used:
        for start in range(0, _SLAB, _ROW):
            part = slab[start : start + _ROW]
            if part.tobytes() != blank[: part.nbytes]:
                end = start + len(part)
                total[start:end] = map(float.__add__, total[start:end], part.tolist())
    return total


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _build_info() -> str:
    return f'kho_build_info{{version="{__version__}"}} 1'


def _requests(total: list[float]) -> Iterator[str]:
    for route, number in _ROUTE.items():
        row = total[number * _ROW : (number + 1) * _ROW]
        for place, value in enumerate(row):
            if value:
                method, status = divmod(place, len(STATUSES))
                code = STATUSES[status] or "other"
                labels = f'route="{route}",method="{METHODS[method]}",status="{code}"'
                yield f"kho_http_requests_total{{{labels}}} {value:.0f}"


def _histograms(total: list[float]) -> Iterator[str]:
    name = "kho_http_request_seconds"
    for route, number in _ROUTE.items():
        start = _SECONDS + number * _SPAN
        counts = total[start : start + _SPAN]
        if not any(counts):
            continue
        running = 0.0
        for bound, value in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
            running += value
            yield f'{name}_bucket{{route="{route}",le="{bound}"}} {running:.0f}'
        yield f'{name}_sum{{route="{route}"}} {total[_SUMS + number * 3]:.6f}'
        yield f'{name}_count{{route="{route}"}} {running:.0f}'
