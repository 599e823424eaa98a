"""SHA-256 and SHA-512 whose state can be saved, so that another process goes on with it.

hashlib hides its state. libcrypto's low-level API works on public, plain structs (openssl/sha.h),
which are copied out and in as bytes:

    SHA256_CTX  112 bytes: h[8] u32, Nl, Nh u32, data[16] u32, num u32, md_len u32
    SHA512_CTX  216 bytes: h[8] u64, Nl, Nh u64, u.p[128],     num u32, md_len u32

A saved state is `version | machine | struct`: read back only by the same layout, else the caller
hashes the stored bytes again (`resume` answers None).
"""

import ctypes
import hashlib
import platform
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Protocol, Self

from kho.oci.digest import Digest

_CONTEXT_BYTES: Final = {"sha256": 112, "sha512": 216}
_DIGEST_BYTES: Final = {"sha256": 32, "sha512": 64}
_MARK: Final = f"1|{platform.machine()}|".encode("ascii")


class Hasher(Protocol):
    """A running hash."""

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes. Releases the interpreter lock for large ones."""

    def digest(self) -> Digest:
        """The digest of all bytes so far; the hash can go on after it."""

    def save(self) -> bytes | None:
        """The state, for `resume_hasher`; None where this machine cannot save it."""


def _names() -> Iterator[str]:
    yield "libcrypto.so.3"
    yield "libcrypto.so.1.1"
    import ctypes.util  # noqa: PLC0415 - asks ldconfig, and the compiler

    yield from filter(None, [ctypes.util.find_library("crypto")])


@lru_cache(maxsize=1)
def _libcrypto() -> ctypes.CDLL | None:
    """The libcrypto that hashlib itself uses where it can be found, else the system's."""
    for name in _names():
        try:
            library = ctypes.CDLL(name)
            for algorithm in ("SHA256", "SHA512"):
                for step in ("Init", "Update", "Final"):
                    getattr(library, f"{algorithm}_{step}").restype = ctypes.c_int
                getattr(library, f"{algorithm}_Update").argtypes = (
                    ctypes.c_void_p,
                    ctypes.c_void_p,
                    ctypes.c_size_t,
                )
        except (OSError, AttributeError):
            continue
        return library
    return None


class ResumableHasher:
    """A hash on libcrypto's public structs."""

    def __init__(self, library: ctypes.CDLL, algorithm: str) -> None:
        self.algorithm = algorithm
        prefix = algorithm.upper()
        self._context = ctypes.create_string_buffer(_CONTEXT_BYTES[algorithm])
        self._address = ctypes.addressof(self._context)
        self._update = getattr(library, f"{prefix}_Update")
        self._final = getattr(library, f"{prefix}_Final")
        getattr(library, f"{prefix}_Init")(self._context)

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        if isinstance(data, memoryview):
            data = bytes(data) if data.readonly else data
        if isinstance(data, bytes):
            self._update(self._address, data, len(data))
        else:
            view = (ctypes.c_char * len(data)).from_buffer(data)
            self._update(self._address, view, len(data))

    def digest(self) -> Digest:
        """Finish a copy of the state."""
        copy = ctypes.create_string_buffer(self._context.raw, len(self._context))
        out = ctypes.create_string_buffer(_DIGEST_BYTES[self.algorithm])
        self._final(out, copy)
        return Digest(self.algorithm, out.raw.hex())

    def save(self) -> bytes:
        """`version | machine | struct`."""
        return _MARK + self._context.raw

    @classmethod
    def restore(cls, library: ctypes.CDLL, algorithm: str, state: bytes) -> Self | None:
        """Take a saved state; None when it was written by another layout."""
        if len(state) != len(_MARK) + _CONTEXT_BYTES[algorithm] or not state.startswith(_MARK):
            return None
        hasher = cls(library, algorithm)
        hasher._context.raw = state[len(_MARK) :]
        return hasher


class PlainHasher:
    """hashlib, where no libcrypto with the low-level API is found."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self._hash = hashlib.new(algorithm)

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._hash.update(data)

    def digest(self) -> Digest:
        """The digest so far."""
        return Digest(self.algorithm, self._hash.hexdigest())

    def save(self) -> None:
        """Nothing can be saved."""


@lru_cache(maxsize=2)
def _trusted(algorithm: str) -> bool:
    """Check libcrypto once against hashlib, over a save in the middle of a block."""
    library = _libcrypto()
    if library is None:
        return False
    sample = bytes(range(256)) * 3
    first = ResumableHasher(library, algorithm)
    first.update(sample[:300])
    second = ResumableHasher.restore(library, algorithm, first.save())
    if second is None:
        return False
    second.update(sample[300:])
    return second.digest() == Digest.of(sample, algorithm)


def new_hasher(algorithm: str = "sha256") -> Hasher:
    """Start a hash that need not be saved; `algorithm` is one of kho.oci.digest.HEX_LENGTH."""
    return PlainHasher(algorithm)


def new_resumable_hasher(algorithm: str = "sha256") -> Hasher:
    """Start a hash whose state can be saved, where this machine can do that."""
    library = _libcrypto()
    if library is not None and _trusted(algorithm):
        return ResumableHasher(library, algorithm)
    return PlainHasher(algorithm)


def resume_hasher(algorithm: str, state: bytes | None) -> Hasher | None:
    """Go on from a saved state; None means: hash the bytes again."""
    library = _libcrypto()
    if state is None or library is None or not _trusted(algorithm):
        return None
    return ResumableHasher.restore(library, algorithm, state)
