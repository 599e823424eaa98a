"""Imports only go down, every module can be imported, the words need nothing but Python."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

from tests.house.tree import REPOSITORY, python_files, tree

MIGRATIONS = "kho/server/database/migrations/"


def module_name(path: str) -> str:
    """kho/oci/digest.py is kho.oci.digest."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_the_contracts_of_import_linter_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


# Alembic runs migrations/env.py itself, inside of a migration.
def test_every_module_can_be_imported() -> None:
    for path in python_files("kho"):
        if not path.startswith(MIGRATIONS):
            importlib.import_module(module_name(path))


def needed_by(path: str) -> set[str]:
    """What a module imports."""
    needed = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            needed |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            needed.add(node.module or "")
    return needed


def test_the_words_need_nothing_but_python() -> None:
    for path in python_files("kho/oci"):
        for name in needed_by(path):
            standard = name.partition(".")[0] in sys.stdlib_module_names
            assert standard or f"{name}.".startswith("kho.oci."), (path, name)


def test_the_server_does_not_need_the_client_nor_the_client_the_server() -> None:
    for folder, other in (("kho/server", "kho.cli"), ("kho/cli", "kho.server")):
        for path in python_files(folder):
            assert other not in ast.unparse(tree(path)), path


# Without memory the standard library's pool stops the loop: kho/server/threads.py is for requests.
POOLS = {"to_thread", "run_in_executor", "ThreadPoolExecutor"}
NO_REQUEST = {
    "kho/server/database/drivers/group_commit.py",  # at the end
    "kho/server/database/open.py",  # at the start
    "kho/server/database/drivers/postgres_schema.py",
}


def test_no_request_waits_for_a_thread_to_start() -> None:
    users = set()
    for path in python_files("kho/server"):
        names = {
            node.attr if isinstance(node, ast.Attribute) else node.id
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Attribute | ast.Name)
        }
        if names & POOLS:
            users.add(path)
    assert users == NO_REQUEST
