"""The child's side: undo what was the parent's, serve, and leave once when asked.

Granian loses a SIGTERM that comes before it serves, hangs on a second one, and closes connections
that it has accepted and not yet heard a request from. All of this happens: systemd signals every
process of its unit, a terminal too, and a reload comes while clients connect. So SIGINT is the
parent's alone; SIGTERM is held back until Granian serves, and of several the first counts; and
between the last accept and the end of idle connections there is a moment for requests to arrive.
"""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final, Protocol

import granian._loops
import granian._signals
from granian._granian import WorkerSignal

from kho.server import metrics, telemetry, waking
from kho.server.supervisor.wakeful_loop import new_loop

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SIGNALS: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
ATTACH_SECONDS: Final = 0.05
SETTLE_SECONDS: Final = 0.3
# Granian drops handshakes that are under way when it stops; one takes up to three round trips.
TLS_SETTLE_SECONDS: Final = 2.0
_PR_SET_PDEATHSIG: Final = 1
# Half of the machine's memory, or of the control group's, is added to what counts.
OOM_SCORE: Final = 500


class App(Protocol):
    """An ASGI application."""

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:  # noqa: ANN401
        """Serve one scope."""


class Departure:
    """The way from SIGTERM to Granian's drain."""

    def __init__(self, descriptor: int, settle: float) -> None:
        self._descriptor = descriptor
        self._settle = settle
        self._signal = WorkerSignal()
        self._asked = False

    def listen(self, loop: asyncio.AbstractEventLoop) -> WorkerSignal:
        """Take the place of Granian's own handlers."""
        loop.add_signal_handler(signal.SIGTERM, self._ask, loop)
        return self._signal

    def started(self) -> None:
        """Granian is about to serve: it does so by the time that this loop runs timers again."""
        asyncio.get_running_loop().call_later(
            ATTACH_SECONDS, signal.pthread_sigmask, signal.SIG_UNBLOCK, SIGNALS
        )

    def _ask(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._asked:
            self._asked = True
            _put_deaf_listener(self._descriptor)
            loop.call_later(self._settle, self._signal.set)


def _put_deaf_listener(descriptor: int) -> None:
    """Put a listener that nobody connects to in the place of ours, under Granian's feet."""
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.setblocking(False)
        deaf.bind("")  # a free name outside the file system
        deaf.listen(1)
        os.dup2(deaf.fileno(), descriptor)


def run_worker(
    serve: Callable[[Callable[[], App]], None],
    load_app: Callable[[], App],
    *,
    parent: int,
    slot: int,
    listener: int,
    writing: int,
    tls: bool,
) -> None:
    """Serve until SIGTERM or the death of the parent; the signals are blocked at first.

    One byte to `writing` says that the worker has started. Granian accepts from `listener`.
    """
    _leave_with(parent)
    _go_first()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP, signal.SIGINT})
    metrics.use_slot(slot)
    departure = Departure(listener, TLS_SETTLE_SECONDS if tls else SETTLE_SECONDS)
    granian._signals.set_loop_signals = departure.listen  # noqa: SLF001
    granian._loops.loops.register("uvloop")(new_loop)  # noqa: SLF001

    def started() -> None:
        departure.started()
        if tls:  # not before Granian has taken the certificates: it aborts on what it cannot use
            asyncio.get_running_loop().call_later(ATTACH_SECONDS, os.write, writing, b"1")
        else:
            os.write(writing, b"1")

    try:
        serve(lambda: _told(load_app(), started))
    except MemoryError:
        waking.end()
    except Exception as error:  # noqa: BLE001  one line instead of a traceback
        telemetry.log_failure("worker failed", error)
        sys.exit(1)


def _go_first() -> None:
    """Where memory is out, let the kernel end a worker: its parent would not be replaced."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "r+", encoding="ascii") as file:
        score = int(file.read())
        file.seek(0)
        file.write(str(max(score, OOM_SCORE)))


def _leave_with(parent: int) -> None:
    """Die when the parent dies, also when it has done so already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def _told(app: App, started: Callable[[], None]) -> App:
    """The application, which says when its lifespan has started."""

    def observed(scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "lifespan":
            return app(scope, receive, send)  # not one coroutine more around each request

        async def told(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                started()

        return app(scope, receive, told)

    return observed
