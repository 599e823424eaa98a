"""CPU seconds and memory of a whole process tree, read from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat says of one process; `ticks` includes its children that have ended."""

    pid: int
    parent: int
    session: int
    ticks: int


def parse_stat(line: str) -> Stat:
    """One line of /proc/PID/stat; the name in brackets may hold spaces and brackets."""
    pid, rest = line.split(" ", 1)
    fields = rest.rpartition(")")[2].split()
    return Stat(
        int(pid), parent=int(fields[1]), session=int(fields[3]), ticks=sum(map(int, fields[11:15]))
    )


def tree(root: int) -> tuple[Stat, ...]:
    """The process, its descendants, and all of the session that it leads (orphans too)."""
    stats = sorted(_all_stats(), key=lambda stat: stat.pid)
    members = {root}
    while True:
        more = {
            stat.pid for stat in stats if stat.session == root or stat.parent in members
        } - members
        if not more:
            return tuple(stat for stat in stats if stat.pid in members)
        members |= more


def cpu_seconds(root: int) -> float:
    """User and system time of the tree so far."""
    return sum(stat.ticks for stat in tree(root)) / TICK


def resident(pids: tuple[int, ...]) -> int:
    """Sum of the resident bytes of these processes: cheap, shared pages counted more than once."""
    return sum(_resident(pid) for pid in pids)


def proportional(pids: tuple[int, ...]) -> int:
    """Sum of the proportional set sizes in bytes: exact, but about 1 ms a process."""
    return sum(_proportional(pid) for pid in pids)


def machine_busy_seconds() -> float:
    """CPU seconds that all processors were busy with anything since the machine started."""
    words = (PROC / "stat").read_text().split("\n", 1)[0].split()
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, words[1:9])
    return (user + nice + system + irq + softirq + steal) / TICK


def _all_stats() -> list[Stat]:
    found = []
    for name in os.listdir(PROC):
        if name.isdigit():
            try:
                found.append(parse_stat((PROC / name / "stat").read_text()))
            except OSError:
                continue  # It ended in between.
    return found


def _resident(pid: int) -> int:
    try:
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * PAGE
    except OSError:
        return 0


def _proportional(pid: int) -> int:
    try:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
