"""The files of the repository, and the functions in them."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Function:
    """Where a function is, and how many lines it has."""

    path: str
    name: str
    lines: int


@lru_cache(maxsize=1)
def tracked() -> list[str]:
    """The paths of all files that git knows; of all files where there is no git."""
    if (REPOSITORY / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
        paths = done.stdout.split("\0")
    else:
        every = REPOSITORY.rglob("*")
        paths = [str(one.relative_to(REPOSITORY)) for one in every if "/." not in str(one)]
    return sorted(path for path in paths if path and (REPOSITORY / path).is_file())


def python_files(*folders: str) -> list[str]:
    """Python files below some folders."""
    starts = tuple(f"{folder}/" for folder in folders)
    return [path for path in tracked() if path.endswith(".py") and path.startswith(starts)]


@lru_cache(maxsize=512)
def text(path: str) -> str:
    """The content of a file."""
    return (REPOSITORY / path).read_text(encoding="utf-8")


@lru_cache(maxsize=512)
def tree(path: str) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(text(path), path)


def functions(*folders: str) -> Iterator[Function]:
    """Every function below some folders, nested ones too."""
    for path in python_files(*folders):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield Function(path, node.name, node.end_lineno - node.lineno + 1)


def percentile(values: list[int], share: float) -> int:
    """The value that `share` of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
