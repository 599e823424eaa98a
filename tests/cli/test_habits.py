"""What users of other tools type by habit, and what else one tries on the first day."""

import os
import pty
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kho.cli.habits import INSTEAD
from kho.cli.main import COMMANDS, main
from tests.interop.kho_client import KHO


@pytest.fixture
def kho(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KHO_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path


def run(*words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, words, input=typed)


@pytest.mark.parametrize("word", sorted(INSTEAD))
def test_words_of_other_tools_are_told_what_to_type(word: str) -> None:
    assert word not in COMMANDS
    told = run(word, "ls", "-a")
    assert told.exit_code == 2
    assert INSTEAD[word] in told.stderr


@pytest.mark.usefixtures("kho")
def test_images_takes_the_option_that_docker_users_add() -> None:
    assert run("images", "-a").output == run("images").output != ""


@pytest.mark.usefixtures("kho")
def test_removing_by_force_what_is_not_there_is_no_failure() -> None:
    assert run("rmi", "nothing").exit_code == 3
    forced = run("rmi", "-f", "nothing")
    assert forced.exit_code == 0
    assert "nothing" in forced.stderr


@pytest.mark.usefixtures("kho")
def test_a_login_that_nobody_can_type_says_how_else() -> None:
    told = run("login", "localhost:1", typed="")
    assert told.exit_code == 2
    assert "--password-stdin" in told.stderr


@pytest.mark.parametrize(
    "words, code, told",
    [
        (("copy", "dir:/tmp/x", "oci:y"), 2, "knows no dir"),
        (("copy", "https://host/name", "oci:y"), 2, "knows no https"),
        (("inspect", "oci:nowhere:name"), 3, "no such folder"),
        (("validate", "oci:{file}"), 2, "oci-archive:"),
        (("search", "localhost:5000"), 2, "kho ls HOST"),
        (("search", "localhost:5000/"), 2, "kho ls HOST"),
        (("attach", "localhost:1/a:1", "--artifact-type", "a/b"), 2, "nothing to attach"),
        (("blob", "localhost:1/a", "--put", "{file}", "-o", "x"), 2, "exclude each other"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    kho: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    file = kho / "file"
    file.write_text("content")
    ended = run(*(word.replace("{file}", str(file)) for word in words))
    assert (ended.exit_code, ended.stderr.count("\n")) == (code, 1)
    assert told in ended.stderr


def test_a_file_that_cannot_be_written_is_named_without_numbers(kho: Path) -> None:
    (kho / "store").write_text("in the way")
    told = run("images")
    assert told.exit_code != 0
    assert "Errno" not in told.stderr
    assert str(kho / "store") in told.stderr


@pytest.mark.usefixtures("kho")
def test_one_interrupt_ends_a_prompt() -> None:
    ours, theirs = pty.openpty()
    command = subprocess.Popen(
        [KHO, "login", "localhost:1"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while b"Username" not in seen:
        seen += os.read(ours, 1000)
    time.sleep(0.1)
    os.kill(command.pid, 2)
    try:
        assert command.wait(10) == 130
    finally:
        command.kill()
        os.close(ours)
