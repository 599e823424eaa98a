"""The parent of the workers: starts them, replaces those that die, drains them at the end.

The parent owns one listening socket per worker (SO_REUSEPORT, so the kernel spreads connections
evenly) and keeps it open while a worker is replaced: a connection waits then, it is not refused.
It runs no thread and holds no database, so that forking is safe at any time.
"""

import gc
import math
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import wait
from typing import Any, Final, cast

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.server.mp import MPServer, WorkerProcess

from kho.server import metrics, telemetry
from kho.server.config import Config
from kho.server.storage import verified
from kho.server.supervisor.allowance import affordable
from kho.server.supervisor.keyring import PLAIN, Keyring
from kho.server.supervisor.worker import SIGNALS, App, run_worker

QUICK_SECONDS: Final = 1.0
FORGIVEN_DEATHS: Final = 2
LONGEST_PAUSE: Final = 5.0
# For one that had started: what killed it (a lack of memory, say) may be over.
PAUSE_OF_STARTED: Final = 1.0
SILENT_SECONDS: Final = 5
UNSENT_BYTES: Final = 1024 * 1024
POLL_SECONDS: Final = 0.05
# Whatever a reload leaves behind may finish: nothing else waits for it.
ROLL_DRAIN_SECONDS: Final = 3600.0

AppFactory = Callable[[Config], App]


@dataclass(slots=True, eq=False)
class Worker:
    """One child process; `started` once its application has opened what it stands on.

    `closed` says that it has let go of everything, but may not be reaped yet: its memory is still
    being freed, or a debugger holds it.
    """

    index: int
    slot: int
    generation: int
    process: WorkerProcess
    pipe: int
    born: float
    started: bool = False
    closed: bool = False
    deadline: float = 0.0

    @property
    def pid(self) -> int:
        """The process id."""
        return int(self.process.inner.pid)

    @property
    def sentinel(self) -> int:
        """A descriptor that is readable once the process is dead."""
        return int(self.process.inner.sentinel)


class Supervisor(MPServer):
    """Granian's server with our own life cycle of workers (theirs gives up on repeated deaths).

    A listener more than there are workers is for plain HTTP, which `redirector` serves.
    """

    pid: Any
    _ssp: Any
    _shd: Any
    _sso: Any
    ssl_ctx: Any

    def __init__(
        self,
        config: Config,
        app_factory: AppFactory,
        listeners: list[socket.socket],
        *,
        keyring: Keyring,
        redirector: AppFactory,
        reload: Callable[[Config], Config | None],
        ready: Callable[[], bool],
    ) -> None:
        host, port = listeners[0].getsockname()[:2]
        super().__init__(
            "kho",
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            workers=config.worker_count,
            loop=Loops.uvloop,
            http=HTTPModes.http1,
            websockets=False,
            runtime_mode=RuntimeModes.st,  # which answers receive() in order (web/inflow.py)
            backlog=config.http.backlog,
            backpressure=config.http.max_connections,
            log_enabled=False,
        )
        self.exit_code = 0
        self._app_factory = app_factory
        self._listeners = listeners
        self._keyring = keyring
        self._redirector = redirector
        self._reload_config = reload
        self._ready: Callable[[], bool] | None = ready
        self._current: dict[int, Worker] = {}
        self._leaving: list[Worker] = []
        self._successor: Worker | None = None
        self._generation = 0
        self._slots = list(range(len(listeners) * 3 + 2, 0, -1))
        self._quick_deaths = dict.fromkeys(range(len(listeners)), 0)
        self._not_before = dict.fromkeys(range(len(listeners)), 0.0)
        self._stopping = False
        self._signals: set[int] = set()
        self._wake: socket.socket | None = None
        self._adopt(config)
        metrics.share(len(self._slots) + 1)
        verified.share()

    def run(self) -> int:
        """Serve until a signal ends it; the exit code."""
        multiprocessing.set_start_method("fork", force=True)
        self.serve(target_loader=self._load_app, wrap_loader=False)
        return self.exit_code

    def _adopt(self, config: Config) -> None:
        """Take the values that workers started from now on will run with."""
        self.config = config
        http = affordable(config.http)
        self.backpressure = http.max_connections
        self.http1_settings = HTTP1Settings(header_read_timeout=int(http.header_seconds * 1000))
        for listener in self._listeners:
            # A reader who stalls blocks Granian's last write for ever: the kernel cuts it. What
            # is accepted inherits this.
            if listener.family != socket.AF_UNIX:
                patience = int(config.http.idle_seconds * 1000)
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
                # Who does not read shall not fill the kernel's memory for all connections.
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
                # Whoever connects and says nothing costs no descriptor.
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, SILENT_SECONDS)
            listener.listen(config.http.backlog)

    def _load_app(self, index: int = 0) -> App:
        return (
            self._redirector(self.config)
            if self._is_redirector(index)
            else self._app_factory(self.config)
        )

    def _is_redirector(self, index: int) -> bool:
        """Whether this place is the redirector beside the workers, which speak TLS."""
        return index >= self.workers

    def _serve(self, spawn_target: Callable[..., None], _loader: object) -> None:
        """Run the loop: Granian has completed its own settings and calls this."""
        self.pid = os.getpid()
        self._target = spawn_target
        self._start_ipc()  # type: ignore[no-untyped-call]
        self._catch_signals()
        gc.collect()
        gc.freeze()
        while self._current or self._leaving or not self._stopping:
            self._obey_signals()
            self._fill()
            self._roll()
            self._wait()
            self._kill_overdue()
            self._announce()

    def _catch_signals(self) -> None:
        self._wake, wakeup = socket.socketpair()
        self._wake.setblocking(False)
        wakeup.setblocking(False)
        signal.set_wakeup_fd(wakeup.detach(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda number, _frame: self._signals.add(number))

    def _obey_signals(self) -> None:
        if self._stopping:
            return
        if self._signals & {signal.SIGTERM, signal.SIGINT}:
            self._stop()
        elif signal.SIGHUP in self._signals:
            self._signals.discard(signal.SIGHUP)
            config = self._reload_config(self.config)
            if config is not None:
                self._keyring.renew(config.tls, config.sources)
                self._adopt(replace(config, tls=self._keyring.in_force(config.tls)))
                self._generation += 1
        elif self._keyring.changed() and self._keyring.renew(self.config.tls):
            self._generation += 1

    def _fill(self) -> None:
        """Start the workers that are missing, unless they must pause."""
        for index in range(len(self._listeners)):
            due = self._not_before[index] <= time.monotonic()
            if not self._stopping and index not in self._current and due and self._slots:
                self._current[index] = self._spawn(index)

    def _roll(self) -> None:
        """After a reload: one successor at a time; the old worker leaves when it has started."""
        if self._stopping or not self._slots:
            return
        if self._successor is None:
            now = time.monotonic()
            old = [one for one in self._current.values() if one.generation < self._generation]
            due = [one for one in old if self._not_before[one.index] <= now]
            if len(self._leaving) < 2 * len(self._listeners):
                self._successor = self._spawn(due[0].index) if due else None
            else:
                # After many reloads the oldest workers give way: every start needs a slot.
                self._hasten(self._leaving[: len(due)])
        elif self._successor.started:
            old_worker = self._current.get(self._successor.index)
            self._current[self._successor.index] = self._successor
            self._successor = None
            if old_worker is not None:
                self._dismiss(old_worker, ROLL_DRAIN_SECONDS)

    def _spawn(self, index: int) -> Worker:
        slot = self._slots.pop()
        reading, writing = os.pipe()
        # Granian never closes the descriptor that it is given.
        descriptor = os.dup(self._listeners[index].fileno())
        self._ssp, self._sso = None, None
        self._shd = _holder(descriptor, False, self.backlog)
        target = partial(self._be_worker, index, slot, descriptor, writing)
        self.ssl_ctx = PLAIN if self._is_redirector(index) else self._keyring.context
        process = self._spawn_worker(index, target, self._load_app)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            process.inner.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(writing)
            os.close(descriptor)
            self._shd = None
        worker = Worker(index, slot, self._generation, process, reading, time.monotonic())
        telemetry.log_event("worker started", pid=worker.pid, worker=index + 1)
        return worker

    def _be_worker(
        self, index: int, slot: int, descriptor: int, writing: int, *arguments: object
    ) -> None:
        """Run in the child, with the arguments of Granian's own worker; the third loads the app."""
        for listener in self._listeners:
            listener.close()

        def serve(load_app: Callable[[], App]) -> None:
            self._target(*arguments[:2], load_app, *arguments[3:])

        run_worker(
            serve,
            partial(self._load_app, index),
            parent=self.pid,
            slot=slot,
            listener=descriptor,
            writing=writing,
            tls=self.ssl_ctx != PLAIN,
        )

    def _all(self) -> list[Worker]:
        successor = [self._successor] if self._successor else []
        return [*self._current.values(), *self._leaving, *successor]

    def _wait(self) -> None:
        """Sleep until a signal, a start, a death or a deadline."""
        workers = self._all()
        heard = [one for one in workers if not one.closed]  # else they would be ready all the time
        by_pipe = {one.pipe: one for one in heard if not one.started}
        by_sentinel = {one.sentinel: one for one in heard}
        assert self._wake is not None
        for found in wait([*by_pipe, *by_sentinel, self._wake.fileno()], self._patience()):
            if found in by_pipe:
                by_pipe[found].started = os.read(found, 1) == b"1"
                by_pipe[found].closed |= not by_pipe[found].started
            elif found in by_sentinel:
                by_sentinel[found].closed = True
        for worker in workers:
            if not worker.process.inner.is_alive():
                self._bury(worker)
        try:
            self._wake.recv(4096)
        except BlockingIOError:
            return

    def _patience(self) -> float | None:
        """How long nothing needs to be done by itself."""
        if self._ready is not None and self._any_started():
            return POLL_SECONDS
        if any(one.closed for one in self._all()):
            return POLL_SECONDS
        now = time.monotonic()
        moments = [one.deadline for one in self._leaving if math.isfinite(one.deadline)]
        moments += [moment for moment in self._not_before.values() if moment > now]
        look = self._keyring.patience()
        if look is not None and not self._stopping:
            moments.append(now + look)
        return max(0.0, min(moments) - now) if moments else None

    def _bury(self, worker: Worker) -> None:
        """Release what a dead worker had; decide when its place is filled again."""
        code = worker.process.inner.exitcode
        os.close(worker.pipe)
        metrics.forget_gauges(worker.slot)
        self._slots.append(worker.slot)
        if worker in self._leaving:
            self._leaving.remove(worker)
            telemetry.log_event("worker stopped", pid=worker.pid, worker=worker.index + 1)
            return
        if worker is self._successor:
            self._successor = None
        elif self._current.get(worker.index) is worker:
            del self._current[worker.index]
        age = time.monotonic() - worker.born
        ended = signal.Signals(-code).name if code is not None and code < 0 else f"code {code}"
        marks: dict[str, object] = {"pid": worker.pid, "worker": worker.index + 1, "ended": ended}
        telemetry.log_event("worker died", "error", **marks, age=round(age, 3))
        metrics.count("kho_worker_exits_total")
        # Granian aborts on what it cannot use; other signals come from outside.
        own = ended == "SIGABRT" or not ended.startswith("SIG")
        if self._ready is not None and not worker.started and own:
            self.exit_code = 1
            self._stop()
            return
        quick = age < QUICK_SECONDS or not worker.started
        self._quick_deaths[worker.index] = self._quick_deaths[worker.index] + 1 if quick else 0
        excess = self._quick_deaths[worker.index] - FORGIVEN_DEATHS
        if excess > 0:
            longest = PAUSE_OF_STARTED if worker.started else LONGEST_PAUSE
            pause = min(0.1 * 2.0**excess, longest)
            self._not_before[worker.index] = time.monotonic() + pause
            telemetry.log_event("worker start delayed", "warning", **marks, seconds=pause)

    def _dismiss(self, worker: Worker, seconds: float) -> None:
        """Ask a worker to finish what it has begun and to go; one that has begun nothing, goes."""
        worker.deadline = time.monotonic() + seconds
        self._leaving.append(worker)
        if worker.started:
            worker.process.inner.terminate()
        else:
            worker.process.inner.kill()

    def _stop(self) -> None:
        """Let every worker finish what it has begun; take no new connections."""
        self._stopping = True
        self._ready = None
        telemetry.log_event("stopping", drain_seconds=self.config.http.drain_seconds)
        leaving = [one for one in self._all() if one not in self._leaving]
        self._current.clear()
        self._successor = None
        self._hasten(self._leaving)
        for worker in leaving:
            self._dismiss(worker, self.config.http.drain_seconds)
        for listener in self._listeners:
            listener.close()

    def _hasten(self, workers: list[Worker]) -> None:
        """Let workers that leave have no more time than at the end."""
        latest = time.monotonic() + self.config.http.drain_seconds
        for worker in workers:
            if math.isfinite(worker.deadline):
                worker.deadline = min(worker.deadline, latest)

    def _kill_overdue(self) -> None:
        for worker in self._leaving:
            if worker.deadline <= time.monotonic():
                worker.deadline = math.inf
                marks = {"pid": worker.pid, "worker": worker.index + 1}
                telemetry.log_event("drain deadline passed, worker killed", "warning", **marks)
                worker.process.inner.kill()

    def _announce(self) -> None:
        if self._ready is not None and self._any_started() and self._ready():
            self._ready = None

    def _any_started(self) -> bool:
        return any(one.started and not self._is_redirector(i) for i, one in self._current.items())


# Descriptor, whether it is a Unix socket, backlog: the stub of the type leaves them out.
_holder: Final = cast("Callable[[int, bool, int], SocketHolder]", SocketHolder)
