"""Ask the kernel to start writing a file's pages to disk, without waiting.

Spread over an upload this leaves the flush at its end nothing to do: 1 GiB hashed, written and
flushed took 0.94 s with it and 1.5 to 4.1 s without (two cores, virtual disk).
"""

import contextlib
import ctypes
from collections.abc import Callable
from typing import Final

_SYNC_FILE_RANGE_WRITE: Final = 2

_sync_file_range: Callable[..., int] | None = None
with contextlib.suppress(OSError, AttributeError):  # another system than Linux
    _sync_file_range = ctypes.CDLL(None, use_errno=True).sync_file_range
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def start_writeback(fd: int, offset: int, length: int) -> None:
    """A hint only: errors show in the flush that must follow."""
    if _sync_file_range is not None:
        _sync_file_range(fd, offset, length, _SYNC_FILE_RANGE_WRITE)
