"""Where the clients are, and what happens when one is missing."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GO_TOOLS = ROOT / ".cache" / "go-tools"

_REQUIRED = os.environ.get("KHO_INTEROP_REQUIRE", "").split(",")

missing: set[str] = set()


Command = tuple[str | Path, ...]

_CACHE = Path("/var/lib/containers/cache")
_OWN_CACHE = 'mount --bind "$0" "$1" && shift && exec "$@"'


def with_own_cache(name: str, cache: Path) -> Command:
    """A client of the containers family, where its cache of known blobs is its own.

    The cache remembers, across clients and registries, which compressed blob holds which layer;
    with a shared one, skopeo pushes a layer as another client once compressed it. There is no
    option for its place, so the client runs in a mount namespace.
    """
    cache.mkdir(parents=True, exist_ok=True)
    _CACHE.mkdir(parents=True, exist_ok=True)
    inside = ("unshare", "--mount", "sh", "-c", _OWN_CACHE, cache, _CACHE)
    return (*inside, program(name))


def program(name: str) -> Path:
    """The client's executable.

    Without it the test fails when KHO_INTEROP_REQUIRE is `all` or lists the client, and else is
    left out and named in the summary; so is one whose version the Go module proxy refuses to serve.
    """
    built = GO_TOOLS / name
    found = str(built) if built.exists() else shutil.which(name)
    if found:
        return Path(found)
    if (GO_TOOLS / f"{name}.refused").exists():
        told = f"{name}: the Go module proxy does not serve this version"
        missing.add(told)
        pytest.skip(f"missing: {told}")
    missing.add(name)
    told = f"missing: {name} (.ci/install interop installs it)"
    if "all" in _REQUIRED or name in _REQUIRED:
        pytest.fail(told)
    pytest.skip(told)
