"""The operator's door: exit codes, messages, secrets."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kho import __version__
from kho.server.cli import main
from kho.server.config import settings_page
from kho.server.serve import held_folder
from tests.server.serving import Server


def khod(*arguments: str | Path, **environ: str) -> tuple[int, str, str]:
    clean = {name: None for name in os.environ if name.startswith("KHO_")}
    told = CliRunner().invoke(main, [str(one) for one in arguments], env={**clean, **environ})
    return told.exit_code, told.stdout, told.stderr


@pytest.mark.parametrize("module", ["kho.server.cli", None])
def test_version(module: str | None) -> None:
    command = [sys.executable, "-m", module] if module else [Path(sys.executable).parent / "khod"]
    told = subprocess.run([*command, "--version"], capture_output=True, timeout=30, check=True)
    assert told.stdout.decode() == f"khod {__version__}\n"


def test_version_needs_little() -> None:
    code = "import sys; import kho.server.cli; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    ).stdout.split()
    assert not {"asyncio", "sqlalchemy", "granian", "alembic", "tomllib"} & set(loaded)


@pytest.mark.parametrize("command", ["serve", "migrate", "config check", "config show"])
def test_all_mistakes_and_exit_code_2(command: str, tmp_path: Path) -> None:
    (tmp_path / "kho.toml").write_text("color = 1\n[log]\nlevel = 'loud'\n")
    code, told, error = khod(
        *command.split(),
        "--config",
        tmp_path / "kho.toml",
        "--listen",
        "nowhere",
        KHO_WORKERS="-1",
        KHO_DATABASE="mysql://u:canary@h/d",
    )
    assert (code, told) == (2, "")
    assert error.startswith("khod: 5 mistakes in the configuration:\n")
    for key in ("color", "log.level", "listen", "workers", "database"):
        assert f"\n  {key} (" in error
    assert "canary" not in error


@pytest.mark.parametrize("words", ["coffee", "serve --coffee", "serve x", "config coffee"])
def test_wrong_usage_is_exit_code_2(words: str) -> None:
    assert khod(*words.split())[0] == 2


def test_config_check() -> None:
    assert khod("config", "check", "--workers", "2") == (0, "the configuration is right\n", "")


def test_config_show_masks_passwords() -> None:
    code, told, error = khod("config", "show", KHO_DATABASE="postgresql://u:canary@h/d")
    assert (code, error) == (0, "")
    rows = {line.split()[0]: line for line in told.splitlines()}
    assert rows["database"].split(maxsplit=2)[1:] == [
        "postgresql://u:***@h/d",
        "environment KHO_DATABASE",
    ]
    assert rows["storage"].split() == ["storage", '""', "default"]
    assert rows["log.access"].split() == ["log.access", "true", "default"]
    assert "canary" not in told


def test_config_show_json() -> None:
    code, told, _ = khod("config", "show", "--json", "--workers", "3")
    tree = json.loads(told)
    assert code == 0
    assert tree["workers"] == {"value": 3, "source": "flag --workers"}
    assert tree["listen"] == {"value": "127.0.0.1:5000", "source": "default"}


def test_config_docs() -> None:
    assert khod("config", "docs") == (0, settings_page(), "")


def test_migrate(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert khod("migrate", "--data", data)[:2] == (0, "database was empty: schema created\n")
    assert khod("migrate", "--data", data)[:2] == (0, "database was up to date already\n")


def test_migrate_keeps_away_from_a_running_server(tmp_path: Path) -> None:
    with held_folder(tmp_path):
        code, told, error = khod("migrate", "--data", tmp_path)
    assert (code, told) == (1, "")
    assert error == (
        f"khod: the data folder {tmp_path} is in use by another khod (pid {os.getpid()})\n"
    )


def started(*arguments: str | Path) -> tuple[int, str, str]:
    """Run `khod serve` on its own: it changes the process."""
    command = [sys.executable, "-m", "kho.server.cli", "serve", "--listen", "127.0.0.1:0"]
    told = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, timeout=30
    )
    return told.returncode, told.stdout, told.stderr


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, error = started("--data", tmp_path / "file")
    assert code == 1
    assert error.count("\n") == 1
    assert f"the data folder {tmp_path / 'file'} cannot be written: " in error


@pytest.mark.parametrize(
    "url, text",
    [
        ("postgresql://u:canary@127.0.0.1:1/d?connect_timeout=1", "khod: "),
        ("sqlite:////proc/nowhere/kho.db", "khod: "),
    ],
)
def test_a_database_that_cannot_be_had(url: str, text: str, tmp_path: Path) -> None:
    code, told, error = started("--data", tmp_path / "d", "--database", url)
    assert (code, told) == (1, "")
    assert error.startswith(text)
    assert error.count("\n") == 1
    assert "canary" not in error


def test_the_registry_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kho.server.cli", "serve", "--listen", "127.0.0.1:0"]
    command += ["--data", str(tmp_path / "data"), "--workers", "2"]
    server = Server(*command, data=tmp_path / "data")
    try:
        server.ready()
        assert server.get("/v2/") == "{}"
        assert 'route="readyz",method="GET",status="200"} 1' in server.get("/metrics")
        assert server.stop() == 0
        assert {one["path"] for one in server.events("request")} == {"/readyz", "/v2/", "/metrics"}
    finally:
        server.destroy()
