"""The process gives up what it does not need before it reads a byte of the layer."""

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from typing import Final

from kho.server.inspection.order import Order
from kho.server.inspection.seclusion import seclude

NICE: Final = 15
# It is the first to go where memory is out.
_OOM_SCORE: Final = b"1000"
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
# It has three, and opens some while modules are imported.
_DESCRIPTORS: Final = 16
_GRACE_SECONDS: Final = 5


def confine(order: Order) -> None:
    """Bound memory, processor time and files; end with the worker that asked; shut the doors."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != order.parent:
        sys.exit(1)
    with suppress(OSError):
        os.nice(NICE)
    with suppress(OSError), open("/proc/self/oom_score_adj", "wb") as file:
        file.write(_OOM_SCORE)
    bounds = order.bounds
    for what, most in (
        (resource.RLIMIT_AS, bounds.memory),
        (resource.RLIMIT_DATA, bounds.memory),
        (resource.RLIMIT_CPU, bounds.cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
    ):
        _, hard = resource.getrlimit(what)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # At the soft limit of processor time it is SIGXCPU that ends it, which tells why.
        timed = what == resource.RLIMIT_CPU and hard == resource.RLIM_INFINITY
        resource.setrlimit(what, (least, least + _GRACE_SECONDS if timed else least))
    seclude(libc)
