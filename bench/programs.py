"""Where a peer's program is, and how one that is missing is built by the Go tool chain."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.peers import Peer, peer_named

ROOT = Path(__file__).resolve().parent.parent
GO_TOOLS = ROOT / ".cache" / "go-tools"
BUILD_SECONDS = 900


# Stands among the programs that a scenario needs.
ROOT_USER = "root"


class ProgramMissingError(RuntimeError):
    """A peer cannot be measured here because its program is absent and cannot be built."""


def locate(peer: Peer) -> tuple[Peer, Path]:
    """The peer that can be run, and its program; a fallback stands in for one not to be built."""
    if peer.go_package:
        if built := _go_built(peer):
            return peer, built
        if peer.fallback:
            return locate(peer_named(peer.fallback))
    path = _installed(peer.program)
    if path is None:
        raise ProgramMissingError(f"{peer.title}: no program named {peer.program} was found")
    return peer, path


def lacking(needs: Sequence[str]) -> tuple[str, ...]:
    """Those of these programs that are not installed here."""
    return tuple(name for name in needs if not _at_hand(name))


def found(name: str) -> Path | None:
    """A program, installed or built by `.ci/install`."""
    built = GO_TOOLS / name
    return built if built.exists() else _installed(name)


def version_of(peer: Peer, program: Path) -> str:
    """The first line that the program prints about its version, or `unknown`."""
    command = [word.format(program=program) for word in peer.version]
    try:
        # nginx prints its version on stderr.
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    text = (done.stdout or done.stderr).strip()
    return text.splitlines()[0].removeprefix(f"{program} ") if text else "unknown"


def _at_hand(name: str) -> bool:
    return os.geteuid() == 0 if name == ROOT_USER else _installed(name) is not None


def _installed(name: str) -> Path | None:
    beside = Path(sys.executable).parent / name
    if os.access(beside, os.X_OK):
        return beside
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/go/bin")
    return Path(path) if path else None


def _go_built(peer: Peer) -> Path | None:
    program = GO_TOOLS / peer.program
    go = _installed("go")
    if go is None:
        return None
    if program.exists() and _is_version(go, program, peer.go_version):
        return program
    GO_TOOLS.mkdir(parents=True, exist_ok=True)
    print(f"building {peer.go_package}@{peer.go_version} (once) ...", file=sys.stderr, flush=True)
    command = [str(go), "install", f"{peer.go_package}@{peer.go_version}"]
    environment = {**os.environ, "GOBIN": str(GO_TOOLS)}
    try:
        subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as failure:
        print(f"the build failed: {failure.stderr.strip()[-600:]}", file=sys.stderr)
        return None
    except subprocess.TimeoutExpired:
        print(f"the build took more than {BUILD_SECONDS} s", file=sys.stderr)
        return None
    return program


def _is_version(go: Path, program: Path, version: str) -> bool:
    command = [str(go), "version", "-m", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return any(
        line.split()[:1] == ["mod"] and version in line.split() for line in done.stdout.splitlines()
    )
