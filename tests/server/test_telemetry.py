"""Log lines: one a request or event, whole, harmless, without secrets, cheap."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kho.server import telemetry

HOSTILE = "a\r\nb\x1b[31m\x00\x7f\x85\u2028\u202e\u2066\ud800\u00e9"
CANARY = "canary-7f3a"


@pytest.fixture(autouse=True)
def _as_shipped() -> Iterator[None]:
    telemetry.configure("info", "json", access=True)
    yield
    telemetry.configure("info", "json", access=True)


def access(path: str = "/v2/", agent: bytes = b"docker/26", **more: Any) -> None:
    scope = {
        "method": more.pop("method", "GET"),
        "path": path,
        "query_string": f"token={CANARY}".encode(),
        "client": ("192.0.2.1", 4711),
        "headers": [
            (b"authorization", CANARY.encode()),
            (b"cookie", CANARY.encode()),
            (b"user-agent", agent),
        ],
    }
    plain = {"route": "base", "status": 200, "seconds": 0.0012345678, "received": 1, "sent": 2}
    telemetry.log_access(scope=scope, request_id="0" * 16, **{**plain, **more})


def lines(capture: pytest.CaptureFixture[str]) -> list[str]:
    return capture.readouterr().err.splitlines()


def test_the_line_of_a_request(capfd: pytest.CaptureFixture[str]) -> None:
    access("/v2/a/manifests/b", remote="198.51.100.1", actor="user:a")
    line = json.loads(lines(capfd)[0])
    assert (
        abs(
            time.time()
            - time.mktime(time.strptime(line["time"][:19], "%Y-%m-%dT%H:%M:%S"))
            + time.timezone
        )
        < 5
    )
    del line["time"]
    assert line == {
        "level": "info",
        "event": "request",
        "method": "GET",
        "path": "/v2/a/manifests/b",
        "route": "base",
        "status": 200,
        "seconds": 0.001235,
        "received": 1,
        "sent": 2,
        "remote": "198.51.100.1",
        "user_agent": "docker/26",
        "request_id": "0" * 16,
        "actor": "user:a",
    }


@pytest.mark.parametrize("form", ["json", "text"])
def test_m7_hostile_text_stays_in_one_plain_line(
    form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("info", form, access=True)
    access(HOSTILE, HOSTILE.encode("utf-8", "surrogatepass"), method=HOSTILE, actor=HOSTILE)
    telemetry.log_event(HOSTILE, name=HOSTILE, many=[HOSTILE], tree={"a": HOSTILE})
    told = capfd.readouterr().err
    assert told.count("\n") == 2
    assert told.endswith("\n")
    assert set(told) <= {"\n", *map(chr, range(0x20, 0x7F))}
    if form == "json":
        assert json.loads(told.splitlines()[0])["path"] == HOSTILE


def test_text_form(capfd: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("info", "text", access=True)
    telemetry.log_event("worker started", pid=5, name="a b", what="x=y", on=True)
    telemetry.log_event("stopped")
    first, second = lines(capfd)
    assert first.partition(" ")[2] == 'info "worker started" pid=5 name="a b" what="x=y" on=true'
    assert second.partition(" ")[2] == "info stopped"


def test_w4_secrets_stay_out(capfd: pytest.CaptureFixture[str]) -> None:
    access(f"/v2/?token={CANARY}")
    telemetry.log_event(
        "x",
        authorization=CANARY,
        user_password=CANARY,
        url=f"postgresql://u:{CANARY}@h/d",
        text=f"cannot connect to https://u:a/{CANARY}@h/d?sig={CANARY}&b={CANARY}",
        tree={"client_secret": CANARY, "urls": [f"redis://:{CANARY}@h"]},
    )
    try:
        raise ValueError(f"postgresql://u:{CANARY}@h/d is down")
    except ValueError as error:
        telemetry.log_failure("failed", error)
    told = capfd.readouterr().err
    assert told.count("\n") == 3
    assert CANARY not in told


def test_a_failure_tells_where(capfd: pytest.CaptureFixture[str]) -> None:
    try:
        json.loads("{")
    except ValueError as error:
        telemetry.log_failure("unreadable", error, request_id="1")
    line = json.loads(lines(capfd)[0])
    assert (line["level"], line["event"], line["request_id"]) == ("error", "unreadable", "1")
    assert line["error"].startswith("JSONDecodeError: Expecting property name")
    assert line["trace"][0].endswith("test_a_failure_tells_where")


def test_levels(capfd: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("warning", "json", access=False)
    access()
    telemetry.log_event("a")
    telemetry.log_event("b", "warning")
    telemetry.log_event("c", "error")
    telemetry.log_event("d", "debug")
    assert [json.loads(line)["event"] for line in lines(capfd)] == ["b", "c"]


@pytest.mark.parametrize("character", ["a", "\u202e", "\x00", '"'])
def test_a_line_fits_into_one_write_to_a_pipe(
    character: str, capfd: pytest.CaptureFixture[str]
) -> None:
    long = character * 100_000
    access(long, b"\xff" * 100_000, actor=long, remote=long, method=long)
    telemetry.log_event("x", a=long, b=[long] * 100)
    for line in lines(capfd):
        assert len(line) < 4096
        assert json.loads(line)["level"] == "info"


@pytest.mark.parametrize(
    "offered",
    [b"0123456789abcdef", b"5f3c1c9e-2b1d-4a57-9a5e-0d6f8a7c1b2e", b"trace_1.span-2", b"a" * 64],
)
def test_harmless_request_ids_are_taken(offered: bytes) -> None:
    assert telemetry.request_id(offered) == offered.decode()


@pytest.mark.parametrize(
    "offered",
    [None, b"", b"short", b"a" * 65, b"12345678\n", b"-2345678", b"1234 5678", b"caf\xc3\xa912345"],
)
def test_other_request_ids_are_replaced(offered: bytes | None) -> None:
    made = telemetry.request_id(offered)
    assert len(made) == 16
    assert made != telemetry.request_id(offered)


def test_a_line_is_cheap(capfd: pytest.CaptureFixture[str]) -> None:
    best = 1.0
    for _ in range(20):
        begun = time.perf_counter()
        for _ in range(100):
            access()
        best = min(best, (time.perf_counter() - begun) / 100)
    capfd.readouterr()
    assert best < 60e-6  # about 8 us on an idle machine
