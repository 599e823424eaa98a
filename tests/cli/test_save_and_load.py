"""`kho save` and `kho load`, as a user calls them; interrupted, they leave nothing."""

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from kho.client.local.store import LocalStore
from kho.client.stores.layout import Layout
from kho.oci.digest import Digest
from tests.client.archives import old_docker
from tests.client.images import image
from tests.interop.kho_client import KHO, Kho
from tests.interop.processes import outcome, wait_until

NAME = "docker.io/library/app:1"


@pytest.fixture
def kho(tmp_path: Path) -> Kho:
    return Kho(tmp_path / "home")


@pytest.fixture
def stored(kho: Kho) -> Digest:
    """An image in the local store."""
    return asyncio.run(image(LocalStore(kho.store), NAME, os.urandom(3_000_000))).digest


def piped(kho: Kho, *words: str | Path, given: bytes = b"") -> bytes:
    """Bytes in, bytes out."""
    env = {**os.environ, **kho.env}
    done = subprocess.run(
        [KHO, *words], input=given, capture_output=True, env=env, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_out_by_a_pipe_and_in_again(kho: Kho, stored: Digest, tmp_path: Path) -> None:
    saved = piped(kho, "save", "app:1")
    assert kho.run("save", "-q", "-o", tmp_path / "x.tar", "app:1") == ""
    assert (tmp_path / "x.tar").read_bytes() == saved
    assert piped(kho, "copy", "local:app:1", "docker-archive:-:app:1") == saved
    other = Kho(tmp_path / "other")
    assert piped(other, "load", "-q", given=saved).decode() == f"Loaded image: {NAME}\n"
    assert other.json("load", "-i", tmp_path / "x.tar") == [{"name": NAME, "digest": str(stored)}]
    assert piped(other, "save", "app:1") == saved
    kho.run("save", "-q", "-o", tmp_path / "y.tar", stored.hex[:12])
    told = [{"name": None, "digest": str(stored)}]
    assert Kho(tmp_path / "third").json("load", "-i", tmp_path / "y.tar") == told


def test_an_old_archive(kho: Kho, tmp_path: Path) -> None:
    path = old_docker(tmp_path / "x.tar", ("app:1", [b"1"]), ("app:2", [b"1", b"2"]))
    loaded = kho.run("load", "-i", path).splitlines()
    assert loaded == [f"Loaded image: {NAME}", "Loaded image: docker.io/library/app:2"]
    (one, two) = json.loads(kho.run("load", "-i", path, "--json"))
    assert one["digest"] != two["digest"]
    listed = path.read_bytes().replace(b'"RepoTags": ["app:2"]', b'"RepoTags": null     ')
    path.write_bytes(listed)
    assert kho.run("load", "-i", path).splitlines()[1] == f"Loaded image ID: {two['digest']}"


@pytest.mark.parametrize(
    "words, code, told",
    [
        (("load", "-i", "nothing.tar"), 3, "there is no such file"),
        (("load", "-i", "."), 3, "is a folder"),
        (("load",), 6, "neither index.json nor manifest.json"),
        (("save", "-o", "."), 2, "is a folder: name a file"),
        (("save", "-o", "no/such/folder"), 1, "No such file"),
        (("copy", "docker-archive:", "oci:x"), 2, "expected docker-archive:FILE"),
        (("copy", "oci:x", "docker-archive:x:A"), 2, "is no reference"),
    ],
)
def test_what_goes_wrong_is_one_line(
    kho: Kho, stored: Digest, words: tuple[str, ...], code: int, told: str
) -> None:
    del stored
    more = ("local:app:1",) if words[0] == "save" else ()
    ended = outcome(KHO, *words, *more, env=kho.env)
    assert (ended.status, ended.said.count("\n")) == (code, 1), ended.said
    assert told in ended.said
    assert ended.said.startswith("kho: ")


def _saves(pid: int, folder: Path) -> bool:
    """Whether it writes into a file without a name."""
    files = [os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink()]
    return any(one.startswith(f"{folder}/#") for one in files)


def _loads(_: int, folder: Path) -> bool:
    """Whether a part of a layer is there."""
    return any(one.stat().st_size > 0 for one in folder.parent.glob("new/ingest/*"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("words", [("save", "-o"), ("load", "-i")])
def test_interrupted(
    kho: Kho, stored: Digest, tmp_path: Path, how: signal.Signals, words: tuple[str, str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path, new = folder / "x.tar", tmp_path / "new"
    env = {**os.environ, **kho.env, "TMPDIR": str(folder)}
    command: list[str | Path] = [KHO, *words, path, "--limit-rate", "100k"]
    if words[0] == "save":
        command.append("local:app:1")
    else:
        kho.run("save", "-o", path, "app:1")
        env["KHO_STORE"] = str(new)
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    moving = _saves if words[0] == "save" else _loads
    wait_until(lambda: moving(process.pid, folder), 20, "bytes flow")
    process.send_signal(how)
    _, said = process.communicate(timeout=20)
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert said.endswith("kho: interrupted\n")
    else:
        assert process.returncode not in (0, None)
    assert [one.name for one in folder.iterdir()] == ([] if words[0] == "save" else ["x.tar"])
    if words[0] == "load":
        assert not Layout(new).entries()
    assert asyncio.run(LocalStore(kho.store).has_manifest(stored))


def test_interrupted_while_nobody_reads(kho: Kho, stored: Digest) -> None:
    del stored
    env = {**os.environ, **kho.env}
    process = subprocess.Popen(
        [KHO, "save", "-q", "local:app:1"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdout
    assert process.stdout.read(512)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    process.stdout.close()
    assert process.stderr
    process.stderr.close()
