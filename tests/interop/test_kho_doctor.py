"""`kho ping` and `kho doctor` at khod and at distribution."""

from .kho_client import Kho
from .servers import Server


def test_ping(kho: Kho, either: Server) -> None:
    told = kho.json("ping", either.host)
    assert (told["url"], told["login"]) == (f"http://{either.host}", "none")


def test_doctor_writes_and_reads(kho: Kho, either: Server) -> None:
    told = kho.json("doctor", f"{either.host}/kho/doctor", "--push")
    verdicts = {one["step"]: one["verdict"] for one in told["steps"]}
    steps = ("name", "connection", "ping", "clock", "push", "chunks", "pull", "ranges", "clean-up")
    assert {step: verdicts[step] for step in steps} == dict.fromkeys(steps, "ok")


def test_nobody_is_logged_in(kho: Kho, either: Server) -> None:
    assert kho.json("whoami") == []
    assert f"not logged in to {either.host}" in kho.refused("whoami", either.host)
    kho.run("login", either.host, "-u", "alice", "--password-stdin", stdin="secret")
    assert kho.json("whoami", either.host)["state"] == "not asked for"
    kho.run("logout", either.host)
    assert kho.json("whoami") == []
