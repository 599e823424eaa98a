"""`kho sync` and the options of transfers, as a user calls them."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kho.client.stores.layout import Layout
from kho.testing.server import Khod
from tests.client.images import content_of, image
from tests.interop.servers import KHOD

KHO = KHOD.with_name("kho")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Khod]:
    found = Khod(tmp_path_factory.mktemp("khod")).start()
    yield found
    found.stop()


@pytest.fixture
def kho(server: Khod) -> Khod:
    server.reset()
    return server


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if name.isupper()}
    return {**clean, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def run(
    environment: dict[str, str], *words: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [KHO, *words], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == code, done.stderr
    return done


def test_a_file_of_entries(kho: Khod, environment: dict[str, str], tmp_path: Path) -> None:
    for tag in ("1.0", "1.1", "2.0"):
        kho.push_image(f"team/app:{tag}", [tag.encode()])
    kho.push_image("mirror/team/app:old")
    path = tmp_path / "sync.yaml"
    path.write_text(f"""\
defaults: {{prune: true}}
sync:
  - {{from: {kho.host}/team/**, to: {kho.host}/mirror/team}}
  - {{from: {kho.host}/team/none, to: {kho.host}/mirror/none, prune: false}}
""")
    planned = run(environment, "sync", "--dry-run", str(path), code=1)
    assert planned.stdout.splitlines()[-1] == "would be: 3 copied, 1 pruned, 1 failed"
    assert "team/none" in planned.stderr
    done = run(environment, "sync", str(path), code=1)
    assert f"pruned {kho.host}/mirror/team/app:old" in done.stdout
    told = json.loads(run(environment, "sync", "--json", str(path), code=1).stdout)
    assert [one["tag"] for one in told["same"]] == ["1.0", "1.1", "2.0"]
    assert (told["copied"], told["pruned"], len(told["failed"])) == ([], [], 1)


def test_two_places(kho: Khod, environment: dict[str, str], tmp_path: Path) -> None:
    kho.push_image("a:1.0")
    kho.push_image("a:2.0")
    words = f"{kho.host}/a:1.*", f"oci:{tmp_path}/back"
    assert run(environment, "sync", "-q", *words).stdout.endswith("1 copied\n")
    assert run(environment, "sync", "-q", *words).stdout == "1 same\n"


@pytest.mark.parametrize(
    "words, told",
    [
        (("nowhere.yaml",), "No such file"),
        (("sync.yaml", "--prune"), "its entries say this: --prune"),
        (("a.example.com/x@sha256:" + 64 * "0", "oci:b"), "sync copies tags"),
        (("oci:a", "oci:b", "--min-age", "3"), "expected an age"),
        (("oci:a", "oci:b", "--limit-rate", "fast"), "is no rate"),
    ],
)
def test_wrong_usage(environment: dict[str, str], words: tuple[str, ...], told: str) -> None:
    assert told in run(environment, "sync", *words, code=2).stderr


async def _image(made: Layout, layer: bytes) -> None:
    await image(made, "v1", layer)


def test_the_rate_is_limited_and_ctrl_c_leaves_what_can_be_gone_on_with(
    kho: Khod, environment: dict[str, str], tmp_path: Path
) -> None:
    made = Layout(tmp_path / "made")
    asyncio.run(_image(made, os.urandom(1_500_000)))
    there = f"{kho.host}/app:v1"
    words = "copy", "--limit-rate", "500k", f"oci:{made.folder}:v1", there
    start = time.monotonic()
    run(environment, *words)
    assert time.monotonic() - start > 2.5

    back = tmp_path / "back"
    pull: list[str | Path] = [KHO, "copy", "--limit-rate", "500k", there, f"oci:{back}:v1"]
    with subprocess.Popen(pull, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not any(one.stat().st_size > 200_000 for one in back.glob("ingest/*")):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert said.splitlines()[-1] == "kho: interrupted"
    assert not (back / "index.json").exists()
    assert "going on at" in run(environment, "copy", there, f"oci:{back}:v1").stderr
    assert content_of(back) == content_of(made.folder)
