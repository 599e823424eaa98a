"""The programs that make many small requests: wrk for GET, our own for HEAD (wrk cannot)."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bench.figures import Work
from bench.programs import ROOT
from bench.wire import Address

SPARE_SECONDS = 60

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_TOTAL = re.compile(r"(\d+) requests in ([\d.]+)(us|ms|s|m)\b")
_SHARE = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m)\s*$", re.MULTILINE)
_REFUSED = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_BROKEN = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")


class LoadError(RuntimeError):
    """Requests failed under load, so that the rate means nothing."""


def drive_wrk(url: str, connections: int, seconds: int, headers: Mapping[str, str]) -> Work:
    """One thread of wrk with this many connections."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    return parse_wrk(_output_of([*command, url], seconds))


def drive_heads(address: Address, target: str, connections: int, seconds: int) -> Work:
    """Our own loader in a process of its own."""
    words = [address.host, str(address.port), target, str(connections), str(seconds)]
    answer = json.loads(_output_of([sys.executable, "-m", "bench.heads", *words], seconds))
    if answer["failed"]:
        raise LoadError(f"{answer['failed']} of {answer['count']} HEAD requests failed")
    return Work(answer["count"], answer["seconds"], 0, answer["p50"], answer["p99"])


@contextmanager
def intruding(address: Address, count: int, seconds: float, source: str) -> Iterator[None]:
    """Bad logins by a process of its own; LoadError when one was let in, or none was answered."""
    words = [address.host, str(address.port), str(count), str(seconds), source]
    command = [sys.executable, "-m", "bench.intruders", *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            yield
        except BaseException:
            process.kill()
            raise
        out, errors = process.communicate(timeout=seconds + SPARE_SECONDS)
    if process.returncode:
        raise LoadError(f"intruders: {errors.strip()[-400:]}")
    answers = json.loads(out)
    statuses = answers.keys() - {"unanswered"}
    if not statuses or statuses - {"401", "429"}:
        raise LoadError(f"bad logins were answered with {answers}")


def parse_wrk(text: str) -> Work:
    """What `wrk --latency` prints; LoadError when any request failed."""
    if failed := _REFUSED.search(text) or _BROKEN.search(text):
        raise LoadError(f"under load: {failed.group(0)}")
    total = _TOTAL.search(text)
    if total is None or total.group(1) == "0":
        raise LoadError(f"wrk made no request: {text[-300:]}")
    shares = {row[0]: float(row[1]) * _UNITS[row[2]] for row in _SHARE.findall(text)}
    seconds = float(total.group(2)) * _UNITS[total.group(3)]
    return Work(int(total.group(1)), seconds, 0, shares.get("50"), shares.get("99"))


def _output_of(command: list[str], seconds: int) -> str:
    limit = seconds + SPARE_SECONDS
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=limit, check=False, cwd=ROOT
    )
    if done.returncode:
        raise LoadError(f"{command[0]}: {done.stderr.strip()[-400:]}")
    return done.stdout
