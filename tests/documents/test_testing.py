"""docs/use/testing.md, run; and the fixture as a plugin of somebody else's tests."""

from pathlib import Path

from .blocks import blocks, python

PAGE = "docs/use/testing.md"

FAULTS = """
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http.client import IncompleteRead

import pytest

from kho.client.stores.copy import Copier
from kho.client.stores.layout import Layout
from kho.client.stores.registry_store import RegistryStore
from kho.remote.errors import ContentMismatch
from kho.remote.registry import Registry


def layer(khod, content=b"x" * 100_000):
    khod.push_image("app:1", [content])
    manifest = json.load(urllib.request.urlopen(khod.url + "/v2/app/manifests/1"))
    return khod.url + "/v2/app/blobs/" + manifest["layers"][0]["digest"]


def test_cut(khod):
    url = layer(khod)
    khod.faults.cut_body(after=50_000)
    with pytest.raises(IncompleteRead) as cut:
        urllib.request.urlopen(url).read()
    assert len(cut.value.partial) == 50_000
    assert len(urllib.request.urlopen(url).read()) == 100_000


def test_wrong(khod):
    url = layer(khod)
    fault = khod.faults.wrong_digest()
    body = urllib.request.urlopen(url).read()
    assert (len(body), body[:2], fault.hits) == (100_000, b"yx", 1)


def test_slow(khod):
    url = layer(khod)
    khod.faults.slow(400_000)
    start = time.monotonic()
    urllib.request.urlopen(url).read()
    assert 0.2 < time.monotonic() - start < 5


def test_users(khod):
    khod.add_user("alice", "a long password")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(khod.url + "/v2/")
    khod.push_image("app:1")


def test_it_is_empty_again(khod):
    answer = urllib.request.urlopen(khod.url + "/v2/_catalog")
    assert json.load(answer) == {"repositories": []}


async def test_a_client_of_ours(khod, tmp_path):
    url = layer(khod, b"y" * 3_000_000)
    khod.faults.answer(503, times=1, path="*/manifests/*", retry_after=0)
    cut = khod.faults.cut_body(after=1_000_000, times=2)
    async with Registry(khod.host) as registry:
        store = RegistryStore(registry, "app")
        await Copier(store, Layout(tmp_path / "a")).copy("1", ["1"])
        assert cut.hits == 2
        khod.faults.wrong_digest(times=2)
        with pytest.raises(ContentMismatch):
            await Copier(store, Layout(tmp_path / "b")).copy("1", ["1"])
        up = RegistryStore(registry, "again")
        slow = khod.faults.slow(20e6)
        await Copier(Layout(tmp_path / "a"), up).copy("1", ["1"])
        assert slow.hits > 0


def test_it_is_not_loaded_before_it_is_asked_for():
    words = "import kho.testing.plugin, sys; print({'granian', 'aiohttp'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", words]) == b"set()\\n"
"""


def pytest_in(folder: Path) -> str:
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    return python("-m", "pytest", "-q", "-p", "no:cacheprovider", folder, folder=folder)


def test_the_page(tmp_path: Path) -> None:
    *tests, alone = blocks(PAGE)
    for number, block in enumerate(tests):
        (tmp_path / f"test_page_{number}.py").write_text(block)
    assert f"{len(tests)} passed" in pytest_in(tmp_path)
    (tmp_path / "alone.py").write_text(alone)
    python("alone.py", folder=tmp_path)


def test_every_fault(tmp_path: Path) -> None:
    (tmp_path / "test_faults.py").write_text(FAULTS)
    assert "7 passed" in pytest_in(tmp_path)
