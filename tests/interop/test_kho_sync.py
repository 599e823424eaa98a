"""kho sync, killed pushes and proxies with limits, against khod and distribution."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kho.client.stores.layout import Layout
from kho.remote.manifests import Manifest
from tests.client.images import content_of, image

from .access_log import assert_nothing_uploaded
from .clients import program
from .kho_client import KHO, Kho
from .processes import daemon, free_port, wait_until
from .servers import Server

MIB = 2**20
Make = Callable[..., Manifest]


@pytest.fixture
def made(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "made")


@pytest.fixture
def make(made: Layout) -> Make:
    """Put an image of random layers into the layout, under a tag."""

    def put(tag: str, *sizes: int) -> Manifest:
        return asyncio.run(image(made, tag, *map(os.urandom, sizes or (1000,))))

    return put


def place(server: Server, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    return f"{server.host}/" + re.sub("[^a-z]+", "-", request.node.name.lower()).strip("-")


def test_incremental_and_pruned(
    kho: Kho, either: Server, made: Layout, make: Make, request: pytest.FixtureRequest
) -> None:
    there, source = place(either, request), f"oci:{made.folder}"
    for tag in ("1.0", "1.1", "old", "gone"):
        make(tag)
    assert kho.run("sync", "-q", source, there).endswith("4 copied\n")
    mark = either.log.mark()
    assert kho.run("sync", "-q", source, there) == "4 same\n"
    assert_nothing_uploaded(either.log.since(mark))
    with made.changing() as entries:
        entries[:] = [one for one in entries if _name(one) not in ("old", "gone")]
    make("1.1")
    told = kho.run("sync", "-q", "--prune", source, there).splitlines()
    assert told[-1] == "1 copied, 1 same, 2 pruned"
    assert sorted(kho.run("tags", there).split()) == ["1.0", "1.1"]


def _name(entry: dict[str, dict[str, str]]) -> str | None:
    return entry.get("annotations", {}).get("org.opencontainers.image.ref.name")


def test_a_tag_that_shares_its_digest(
    kho: Kho, either: Server, made: Layout, make: Make, request: pytest.FixtureRequest
) -> None:
    there, source = place(either, request), f"oci:{made.folder}"
    make("1.0")
    kho.run("copy", f"{source}:1.0", f"{there}:1.0")
    kho.run("copy", f"{source}:1.0", f"{there}:twin")
    if kho_can_untag(kho, there):
        assert kho.run("tags", there).split() == ["1.0"]
        return
    assert "the registry deletes digests only, and 1.0 has the same" in kho.refused(
        "sync", "--prune", source, there
    )
    assert sorted(kho.run("tags", there).split()) == ["1.0", "twin"]


def kho_can_untag(kho: Kho, there: str) -> bool:
    """Whether the registry deletes a tag alone; it has done so then."""
    done = subprocess.run(
        [KHO, "sync", "--prune", "--json", f"oci:{kho.home.parent}/made", there],
        env={**os.environ, **kho.env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode == 0


def test_a_namespace(
    kho: Kho,
    either: Server,
    made: Layout,
    make: Make,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    there = place(either, request)
    make("1")
    for name in ("a", "b/c"):
        kho.run("copy", f"oci:{made.folder}:1", f"{there}/{name}:1")
    assert kho.run("sync", "-q", f"{there}/**", f"oci:{tmp_path}/back").endswith("2 copied\n")
    assert kho.run("sync", "-q", f"{there}/*", f"{there}-copy").endswith("1 copied\n")
    assert content_of(tmp_path / "back/b/c") == content_of(made.folder)


@pytest.mark.parametrize("way", ["push", "pull"])
def test_a_kill_is_gone_on_with(
    kho: Kho,
    either: Server,
    made: Layout,
    make: Make,
    request: pytest.FixtureRequest,
    way: str,
) -> None:
    there, here = f"{place(either, request)}:1", f"oci:{made.folder}:1"
    back = made.folder.parent / "back"
    manifest = make("1", 3 * MIB)
    words = (here, there)
    if way == "pull":
        kho.run("copy", here, there)
        words = (there, f"oci:{back}:1")
    environment = {**os.environ, **kho.env, "XDG_CACHE_HOME": str(kho.home / "cache")}
    command = [str(KHO), "copy", "--limit-rate", "1M", "--debug", *words]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: _under_way(kho, back, way), 30, "the layer is on its way")
        asyncio.run(asyncio.sleep(1.2))
        process.send_signal(signal.SIGKILL)
    done = subprocess.run(
        [KHO, "copy", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    # Distribution gives up a session whose chunk was cut: then the layer is sent anew.
    assert "going on at" in done.stderr or (way, server_kind(request)) == ("push", "distribution")
    assert done.stdout.strip() == str(manifest.digest)
    if way == "push":
        kho.run("copy", there, f"oci:{back}:1")
    assert content_of(back) == content_of(made.folder)


def server_kind(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["either"])


def _under_way(kho: Kho, back: Path, way: str) -> bool:
    if way == "push":
        entries = (kho.home / "cache/kho/uploads").glob("*.json")
        return any(one.stat().st_size for one in entries)
    return any(one.stat().st_size > 100_000 for one in back.glob("ingest/*"))


@pytest.fixture
def narrow(either: Server, tmp_path: Path) -> Iterator[int]:
    """The port of an nginx in front, which lets 2 MB pass at once."""
    port, folder = free_port(), tmp_path / "nginx"
    folder.mkdir()
    parts = "client_body", "proxy", "fastcgi", "uwsgi", "scgi"
    temporary = " ".join(f"{part}_temp_path {folder}/{part};" for part in parts)
    config = folder / "nginx.conf"
    config.write_text(f"""\
daemon off; user root; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; {temporary}
  client_max_body_size 2m;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://{either.host}; proxy_set_header Host $http_host; }}
  }}
}}
""")
    command: list[str | Path] = [program("nginx"), "-c", config, "-e", folder / "error.log"]
    with daemon(command, folder / "log", (folder / "pid").exists):
        yield port


def test_a_proxy_that_lets_little_pass(
    kho: Kho, narrow: int, made: Layout, make: Make, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = re.sub("[^a-z]+", "-", request.node.name.lower()).strip("-")
    make("1", 7 * MIB)
    there = f"127.0.0.1:{narrow}/{name}:1"
    kho.run("copy", f"oci:{made.folder}:1", there)
    kho.run("copy", there, f"oci:{tmp_path}/back:1")
    assert content_of(tmp_path / "back") == content_of(made.folder)
