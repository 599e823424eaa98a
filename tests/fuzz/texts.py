"""Bytes of a fuzzer as the texts that a server makes of a request."""

from urllib.parse import unquote


def header(data: bytes) -> str:
    """A header's value: any byte is a character."""
    return data.decode("latin-1")


def path(data: bytes) -> str:
    """A path or a part of it, percent-decoded once."""
    return unquote(data.decode("latin-1"))


def unicode(data: bytes) -> str:
    """Any text but lone surrogates."""
    return data.decode("utf-8", "replace")


def split(data: bytes, count: int) -> list[bytes]:
    """Up to `count` lines; those that are missing are empty."""
    parts = data.split(b"\n", count - 1)
    return parts + [b""] * (count - len(parts))
