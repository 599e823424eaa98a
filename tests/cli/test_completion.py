"""Completion: commands, options, images of the local store, files; and quickly."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kho.cli.main import COMMANDS, main

NAMES = ("docker.io/library/debian:12", "localhost:5000/team/app:1", "ghcr.io/a/b:2")
KHO = Path(sys.executable).with_name("kho")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    entries = [{"annotations": {"org.opencontainers.image.ref.name": name}} for name in NAMES]
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "index.json").write_text(
        json.dumps({"manifests": [*entries, {}, {"annotations": {}}]})
    )
    return folder


def completed(line: str, store: Path) -> list[str]:
    """What is offered for the last word, as fish is told."""
    word = line.rpartition(" ")[2]
    env = {"KHO_STORE": str(store), "_KHO_COMPLETE": "fish_complete"}
    env |= {"COMP_WORDS": line, "COMP_CWORD": word}
    told = CliRunner().invoke(main, [], env=env, prog_name="kho")
    return [item.partition("\t")[0] for item in told.output.splitlines() if item]


def test_commands_and_options(store: Path) -> None:
    assert completed("kho ", store) == [f"plain,{name}" for name in COMMANDS]
    assert completed("kho ma", store) == ["plain,manifest"]
    assert "plain,--platform" in completed("kho cat --pl", store)
    assert completed("kho completion z", store) == ["plain,zsh"]


def test_images_of_the_local_store(store: Path) -> None:
    assert completed("kho cat de", store) == ["plain,debian:12"]
    assert completed("kho diff localhost:5000/t", store) == [f"plain,{NAMES[1]}"]
    assert "plain,oci:" in completed("kho tree o", store)
    assert completed("kho cat oci:fol", store) == ["file,oci:fol"]
    assert completed("kho cat nothing", store) == []


@pytest.mark.parametrize("content", [None, "", "[]", '{"manifests": 5}', '{"manifests": [5]}'])
def test_a_store_that_is_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "index.json").write_text(content)
    assert completed("kho cat deb", tmp_path) == []


def test_names_that_move_a_terminal_are_not_offered(tmp_path: Path) -> None:
    entry = {"annotations": {"org.opencontainers.image.ref.name": "deb\x1b[2J"}}
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [entry]}))
    assert completed("kho cat deb", tmp_path) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_reads(shell: str) -> None:
    told = CliRunner().invoke(main, ["completion", shell])
    assert told.exit_code == 0
    assert "_KHO_COMPLETE" in told.output
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n"], input=told.output, text=True, check=True, timeout=30)


@pytest.mark.parametrize(
    "line, words",
    [
        ("kho cat deb", ["debian:12"]),
        ("kho cat localhost:5000/t", ["5000/team/app:1"]),
        ("kho cat debian:", ["12"]),
        ("kho who", ["whoami"]),
    ],
)
def test_bash_replaces_what_stands_behind_the_last_colon(
    line: str, words: list[str], store: Path, tmp_path: Path
) -> None:
    script = tmp_path / "ask.sh"
    script.write_text(
        f'compopt() {{ :; }}; eval "$({KHO} completion bash)"\n'
        f'COMP_LINE="{line}" COMP_POINT={len(line)} _kho_completion {KHO}\n'
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    env = {**os.environ, "KHO_STORE": str(store)}
    told = subprocess.run(
        ["bash", script], capture_output=True, text=True, check=True, timeout=60, env=env
    )
    assert told.stdout.split() == words


def test_completion_loads_little(store: Path) -> None:
    code = "import sys\nfrom kho.cli.main import main\n"
    code += "try: main(prog_name='kho')\nfinally: print(*sys.modules)"
    env = {**os.environ, "KHO_STORE": str(store), "_KHO_COMPLETE": "fish_complete"}
    env |= {"COMP_WORDS": "kho cat deb", "COMP_CWORD": "deb"}
    command = [sys.executable, "-c", code]
    told = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=30, env=env
    ).stdout
    assert "debian:12" in told
    heavy = {"aiohttp", "rich", "kho.client.stores.layout", "kho.remote.registry"}
    assert heavy & set(told.split()) == set()
