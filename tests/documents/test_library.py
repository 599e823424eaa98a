"""docs/use/library.md: its examples run, and are typed for whoever is strict."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kho.testing.server import Khod

from .blocks import blocks, python

PAGE = "docs/use/library.md"
SAYS = ["1.0", "sha256:", "blobs", "hello", "sha256:"]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Khod]:
    found = Khod(tmp_path_factory.mktemp("khod")).start()
    found.push_image("team/app:1.0", files={"etc/motd": b"hello\n"})
    yield found
    found.stop()


@pytest.mark.parametrize("number, says", list(enumerate(SAYS)))
def test_an_example(registry: Khod, tmp_path: Path, number: int, says: str) -> None:
    found = blocks(PAGE)
    assert len(found) == len(SAYS)
    text = found[number].replace("registry.example.com", registry.host)
    (tmp_path / "example.py").write_text(text)
    assert says in python("example.py", folder=tmp_path)


def test_the_examples_are_typed(tmp_path: Path) -> None:
    for number, block in enumerate(blocks(PAGE)):
        (tmp_path / f"example_{number}.py").write_text(block)
    names = sorted(path.name for path in tmp_path.glob("*.py"))
    python("-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", *names, folder=tmp_path)


def test_the_short_names_cost_nothing_until_they_are_asked_for() -> None:
    code = "import kho.client, kho.remote, sys; print(len([m for m in sys.modules if 'kho' in m]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == 3
    import kho.client  # noqa: PLC0415
    import kho.remote  # noqa: PLC0415

    for module in (kho.client, kho.remote):
        for name in module.__all__:
            assert getattr(module, name).__name__ == name
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            _ = module.nothing
