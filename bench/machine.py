"""The machine that a run was made on."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

MEMORY_FILESYSTEMS = ("tmpfs", "ramfs")


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader needs to judge the absolute figures."""

    cores: int
    processor: str
    memory_gib: float
    kernel: str
    python: str


def this_machine() -> Machine:
    """Read from /proc and the interpreter."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=_processor(),
        memory_gib=round(pages * size / 2**30, 1),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
    )


def filesystem_of(folder: Path) -> str:
    """The type of the file system that holds a folder, by the longest mount point above it."""
    place, best, kind = str(folder.resolve()), "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, found, *_ = line.split(" ")
        inside = mount in ("/", place) or place.startswith(mount + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, found
    return kind


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
