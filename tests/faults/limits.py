"""Ways to give a registry little: descriptors, memory of a process, memory of all of it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

DESCRIPTORS: Final = 256
MIB: Final = 2**20
# A worker has some 120 MiB of data, most of it not resident, before anybody asks for anything.
DATA: Final = 230 * MIB
# Two workers and their parent need about 130 MiB.
GROUP: Final = 180 * MIB
_ROOT: Final = Path("/sys/fs/cgroup")
LIMITS: Final = ("descriptors", "data", "group")


@contextmanager
def limited(name: str) -> Iterator[tuple[str, ...] | None]:
    """The program to start the registry with; None when this machine does not let us."""
    if name == "descriptors":
        yield ("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}")
    elif name == "data":
        yield ("prlimit", f"--data={DATA}:{DATA}")
    else:
        group = _made_group()
        try:
            join = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
            yield None if group is None else ("sh", "-c", join, str(group))
        finally:
            _remove(group)


def _made_group() -> Path | None:
    """A control group with little memory, of the first or the second version."""
    first = (_ROOT / "memory").is_dir()
    group = _ROOT / ("memory" if first else "") / f"kho-faults-{os.getpid()}"
    bound = group / ("memory.limit_in_bytes" if first else "memory.max")
    with suppress(OSError):
        group.mkdir(exist_ok=True)
        bound.write_text(str(GROUP))
        return group
    _remove(group)
    return None


def _remove(group: Path | None) -> None:
    for _ in range(100):
        if group is None or not group.exists():
            return
        with suppress(OSError):  # whoever was in it is still on the way out
            group.rmdir()
        time.sleep(0.02)
