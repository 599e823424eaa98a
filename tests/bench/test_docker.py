"""How an engine of our own is started."""

from pathlib import Path

from bench.docker import commands


def test_nothing_is_shared_with_another_engine() -> None:
    engine, client = commands(Path("/state"), "dockerd", "docker")
    places = [str(word) for word in engine if str(word).startswith(("/", "unix:"))]
    assert places == ["unix:///state/socket", "/state/data", "/state/exec", "/state/pid"]
    assert {"--bridge=none", "--iptables=false"} <= set(engine)
    assert client == ("docker", "--host", "unix:///state/socket")
