"""The real image, which bench/debian.py makes."""

import fcntl

from bench import debian
from bench.debian import MARKER, MARKER_TEXT, DebianImage

from .clients import ROOT, program

__all__ = ["MARKER", "MARKER_TEXT", "DebianImage", "debian_image"]


def debian_image() -> DebianImage:
    """Build the image, or find it as an earlier run left it."""
    for name in debian.NEEDS:
        program(name)
    cache = ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    with (cache / "debian.lock").open("w") as lock:  # several workers may want it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        return debian.debian_image()
