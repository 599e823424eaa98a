"""Kill a process on entering the N-th system call of its commit path, whichever thread makes it.

python -m tests.faults.cutter PID [N]

strace counts by thread, and which thread of a pool works is chance: so this traces all of them by
itself (ptrace) and counts as if they were one. It says "attached", works until SIGTERM or the end
of the process, and prints the calls that it saw as JSON; with N, the process dies at the last one.
"""

import ctypes
import json
import os
import platform
import signal
import sys
from pathlib import Path
from typing import Final

HERE: Final = platform.machine() == "x86_64"  # whose numbers these are
NUMBERS: Final = {
    "write": 1,
    "writev": 20,
    "pwrite64": 18,
    "pwritev": 296,
    "sendto": 44,
    "sendmsg": 46,
    "fsync": 74,
    "fdatasync": 75,
    "sync_file_range": 277,
    "ftruncate": 77,
    "fallocate": 285,
    "rename": 82,
    "renameat": 264,
    "renameat2": 316,
    "link": 86,
    "linkat": 265,
    "mkdir": 83,
    "mkdirat": 258,
    "rmdir": 84,
    "unlink": 87,
    "unlinkat": 263,
    "open": 2,
    "openat": 257,
    "flock": 73,
}
CALLS: Final = {number: name for name, number in NUMBERS.items()}
_SYSCALL: Final = 24
_SEIZE: Final = 0x4206
_INTERRUPT: Final = 0x4207
_GET_SYSCALL_INFO: Final = 0x420E
_TRACE_SYSGOOD: Final = 1
_TRACE_CLONE: Final = 8
_ENTRY: Final = 1
_ALL_THREADS: Final = 0x40000000  # __WALL


class _Info(ctypes.Structure):
    """The start of `struct ptrace_syscall_info`."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("_pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("ip", ctypes.c_uint64),
        ("sp", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("rest", ctypes.c_uint64 * 8),
    )


_ptrace = ctypes.CDLL(None, use_errno=True).ptrace
_ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_ptrace.restype = ctypes.c_long


class Cutter:
    """The tracer of one process."""

    def __init__(self, pid: int, number: int | None) -> None:
        self.seen: list[str] = []
        self._pid = pid
        self._number = number
        self._threads: set[int] = set()
        self._info = _Info()

    def attach(self) -> None:
        """Take every thread; those that start from now on come by themselves."""
        while new := self._found() - self._threads:
            for thread in new:
                _ptrace(_SEIZE, thread, None, _TRACE_SYSGOOD | _TRACE_CLONE)
                _ptrace(_INTERRUPT, thread, None, None)
                os.waitpid(thread, _ALL_THREADS)
                _ptrace(_SYSCALL, thread, None, None)
            self._threads |= new

    def _found(self) -> set[int]:
        return {int(one.name) for one in Path(f"/proc/{self._pid}/task").iterdir()}

    def follow(self) -> bool:
        """Let go on whoever has stopped; False when nobody is left."""
        while True:
            try:
                thread, status = os.waitpid(-1, os.WNOHANG | _ALL_THREADS)
            except ChildProcessError:
                return False
            if thread == 0:
                return True
            if not os.WIFSTOPPED(status):
                continue
            number = os.WSTOPSIG(status)
            if number == signal.SIGTRAP | 0x80:
                self._called(thread)
                number = 0
            elif status >> 16:  # a new thread, or what SEIZE stops for
                number = 0
            _ptrace(_SYSCALL, thread, None, number)

    def _called(self, thread: int) -> None:
        size = ctypes.sizeof(self._info)
        _ptrace(_GET_SYSCALL_INFO, thread, size, ctypes.addressof(self._info))
        name = CALLS.get(self._info.number) if self._info.op == _ENTRY else None
        if name is None or len(self.seen) == self._number:
            return
        self.seen.append(name)
        if len(self.seen) == self._number:
            os.kill(self._pid, signal.SIGKILL)  # before the call runs


def main(pid: int, number: int | None) -> None:
    """Trace until told to stop; the end of this process lets go of the other one."""
    awaited = {signal.SIGCHLD, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    cutter = Cutter(pid, number)
    cutter.attach()
    sys.stdout.write("attached\n")
    sys.stdout.flush()
    while cutter.follow() and signal.sigwait(awaited) != signal.SIGTERM:
        pass
    sys.stdout.write(json.dumps(cutter.seen) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
