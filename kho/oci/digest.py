"""Digest: `algorithm:hex`, read strictly (image-spec, descriptor.md)."""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from kho.oci.errors import DigestInvalid

# The two registered algorithms that a registry must or may serve, with their hex length.
HEX_LENGTH = {"sha256": 64, "sha512": 128}
_PATTERN = re.compile(r"(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Digest:
    """A parsed digest; its text form is safe in paths, headers and SQL."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise DigestInvalid for anything but lower-case sha256 or sha512."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            allowed = " or ".join(
                f"{name}:<{size} hex digits>" for name, size in HEX_LENGTH.items()
            )
            raise DigestInvalid(
                "not a digest: expected %(allowed)s", allowed=allowed, detail=text[:256]
            )
        algorithm, value = match.group(1, 2) if match.group(1) else match.group(3, 4)
        return cls(algorithm, value)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Self:
        """Compute the digest of `content`."""
        return cls(algorithm, hashlib.new(algorithm, content).hexdigest())

    def __str__(self) -> str:
        """`sha256:...`, the wire form."""
        return f"{self.algorithm}:{self.hex}"


# Names, tags and digests repeat from request to request; the cache is bounded, values immutable.
parse_digest = lru_cache(maxsize=8192)(Digest.parse)


@lru_cache(maxsize=1)
def empty_digest() -> Digest:
    """The digest of no bytes."""
    return Digest.of(b"")
