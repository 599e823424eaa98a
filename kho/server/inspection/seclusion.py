"""What the kernel refuses from now on: to open files, to call anybody, to start or end others.

What is left is to read and write what is open, to use memory, and to end: a mistake in a library
that unpacks leads no further. Where the kernel has no seccomp, its limits alone hold.

    other architecture? ─► EPERM      one of _CALLS? ─► allowed      else EPERM
"""

import ctypes
import platform
import struct
import sys
from typing import Final

_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2
# Instructions: load a word of struct seccomp_data, skip some when it is equal, return.
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _ARCHITECTURE = 0, 4  # where they stand there
_ALLOW: Final = 0x7FFF0000
_EPERM: Final = 0x00050001
_INSTRUCTION: Final = struct.Struct("=HBBI")
# What the kernel's audit calls the machine, and its column below.
_MACHINES: Final = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
_CALLS: Final = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "lseek": (8, 62),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    "brk": (12, 214),
    "futex": (202, 98),
    "sched_yield": (24, 124),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "getrandom": (318, 278),
    "exit": (60, 93),
    "exit_group": (231, 94),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def seclude(libc: ctypes.CDLL) -> bool:
    """Leave the process what it has open, and nothing more; False where the kernel cannot.

    It must have given up new privileges before.
    """
    known = _MACHINES.get(platform.machine())
    if known is None or sys.maxsize < 2**32:  # programs of 32 bits have other numbers
        return False
    written = _filter(*known)
    program = _Program(len(written) // _INSTRUCTION.size, written)
    mode = ctypes.c_ulong(_SECCOMP_MODE_FILTER)
    return bool(libc.prctl(_PR_SET_SECCOMP, mode, ctypes.byref(program)) == 0)


def _filter(architecture: int, column: int) -> bytes:
    count = len(_CALLS)
    numbers = [both[column] for both in _CALLS.values()]
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 0, count + 1, architecture),
        (_LOAD, 0, 0, _NUMBER),
        *((_IF_EQUAL, count - at, 0, number) for at, number in enumerate(numbers)),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(_INSTRUCTION.pack(*one) for one in program)
