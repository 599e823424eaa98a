"""Bytes are flushed before they get their name, names before anybody is told: read from strace."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from kho.oci.digest import Digest
from tests.contracts.storage.acts import LARGE

REPOSITORY = Path(__file__).parents[3]
CALLS = "trace=fsync,fdatasync,rename,renameat,renameat2,mkdir,mkdirat,pwrite64,write,close"
_LINE = re.compile(r"\d+ +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<call>\w+)\()(?P<rest>.*)")


@dataclass(frozen=True)
class Call:
    """A system call that succeeded; `path` is what it was about, `target` what a rename made."""

    name: str
    path: str
    target: str = ""


@pytest.fixture(scope="module", params=["a new store", "folders another process just made"])
def calls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    """What a process calls that pushes one blob into a folder called `store`."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail("strace is missing (Debian: apt-get install strace)", pytrace=False)
    folder = tmp_path_factory.mktemp("traced")
    log = folder / "log"
    if request.param != "a new store":
        (folder / FOLDER).mkdir(parents=True)
    program = [sys.executable, "-m", "tests.contracts.storage.pusher", "whole"]
    done = subprocess.run(
        [strace, "-f", "-y", "-s", "512", "-e", CALLS, "-o", log, *program, folder / "store"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return parse(log.read_text(), f"{folder}/")


def parse(log: str, folder: str) -> list[Call]:
    """The calls about files in `folder`, in the order in which they ended."""
    found, begun = [], {}
    for line in log.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        thread = line.split(" ", 1)[0]
        text = match["rest"]
        if "<unfinished ...>" in text:
            begun[thread] = text
            continue
        if match["resumed"]:
            text = begun.pop(thread, "") + text
        if re.search(r"= -1 ", text):
            continue
        paths = re.findall(re.escape(folder) + r'([^">]*)[">]', text)
        if paths:
            found.append(Call(match["call"] or match["resumed"], paths[0], paths[-1]))
    return found


def only(calls: list[Call], wanted: re.Pattern[str], path: str) -> list[int]:
    """Positions of the calls of some names on a path."""
    return [
        at for at, call in enumerate(calls) if wanted.fullmatch(call.name) and call.path == path
    ]


RENAME, FLUSH, WRITE = re.compile("rename.*"), re.compile("fsync"), re.compile("p?write.*")
HEX = Digest.of(LARGE).hex
FOLDER = f"store/docker/registry/v2/blobs/sha256/{HEX[:2]}/{HEX}"


def renamed(calls: list[Call]) -> int:
    """Where the blob gets its name."""
    (at,) = [at for at, call in enumerate(calls) if RENAME.fullmatch(call.name)]
    assert calls[at].target == f"{FOLDER}/data"
    return at


def test_bytes_are_flushed_before_they_get_their_name(calls: list[Call]) -> None:
    rename = renamed(calls)
    upload = calls[rename].path
    writes = only(calls, WRITE, upload)
    flushes = only(calls, FLUSH, upload)
    assert writes
    assert any(max(writes) < flush < rename for flush in flushes)


def test_nothing_is_written_after_the_name_is_there(calls: list[Call]) -> None:
    rename = renamed(calls)
    assert not only(calls[rename:], WRITE, calls[rename].path)
    assert not only(calls[rename:], WRITE, f"{FOLDER}/data")


def test_the_folder_of_the_name_is_flushed_after_it(calls: list[Call]) -> None:
    assert any(flush > renamed(calls) for flush in only(calls, FLUSH, FOLDER))


def test_every_folder_is_flushed_into_its_parent_whoever_made_it(calls: list[Call]) -> None:
    made = {call.path: at for at, call in enumerate(calls) if call.name.startswith("mkdir")}
    # The blob's own folder comes after the rename, so that one journal commit takes both; the
    # program ends when it is told.
    path, until = FOLDER, len(calls)
    while "/" in path:
        parent = path.rpartition("/")[0]
        flushes = only(calls[:until], FLUSH, parent)
        assert any(flush > made.get(path, -1) for flush in flushes), path
        path, until = parent, renamed(calls)


def test_a_checkpoint_is_flushed(calls: list[Call]) -> None:
    upload = calls[renamed(calls)].path
    flushes = only(calls, re.compile("fdatasync"), upload)
    assert flushes
    assert min(only(calls, WRITE, upload)) < flushes[0]
