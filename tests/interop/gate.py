"""A line between client and server that turns slow in mid-push, until it is told to go on."""

import contextlib
import socket
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

_READ = 64 * 1024
# Well above what a server may take for a stalled body.
_SLOW_PIECE = 4 * 1024
_SLOW_PAUSE = 0.2


class Gate:
    """A TCP proxy on loopback. What goes up is slowed down after `free` bytes in all."""

    def __init__(self, port: int, free: int) -> None:
        self._target, self._left = port, free
        self._slow, self._opened = threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.open()
        self._listener.close()

    def wait_until_slow(self, seconds: float) -> bool:
        """Whether a push has reached the slow part in time."""
        return self._slow.wait(seconds)

    def open(self) -> None:
        """From now on everything passes at once."""
        self._opened.set()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        """One connection, until both sides have ended it."""
        with near, socket.create_connection(("127.0.0.1", self._target)) as far:
            upwards = partial(self._pass_on, far)
            up = threading.Thread(target=_relay, args=(near, far, upwards), daemon=True)
            up.start()
            _relay(far, near, near.sendall)
            up.join()

    def _pass_on(self, far: socket.socket, data: bytes) -> None:
        while data:
            piece = self._next(data)
            far.sendall(piece)
            data = data[len(piece) :]

    def _next(self, data: bytes) -> bytes:
        """As much of it as may pass now."""
        if self._opened.is_set():
            return data
        with self._lock:
            free, self._left = self._left, max(0, self._left - len(data))
        if free:
            return data[:free]
        self._slow.set()
        self._opened.wait(_SLOW_PAUSE)
        return data[:_SLOW_PIECE]


def _relay(source: socket.socket, sink: socket.socket, deliver: Callable[[bytes], None]) -> None:
    """Deliver what comes until either end closes."""
    with contextlib.suppress(OSError):
        while data := source.recv(_READ):
            deliver(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
