"""The real image, which bench/debian.py makes."""

from bench import debian
from bench.debian import MARKER, MARKER_TEXT, DebianImage

from .clients import program

__all__ = ["MARKER", "MARKER_TEXT", "DebianImage", "debian_image"]


def debian_image() -> DebianImage:
    """Build the image, or find it as an earlier run left it."""
    for name in debian.NEEDS:
        program(name)
    return debian.debian_image()
