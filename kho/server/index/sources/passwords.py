"""Passwords: argon2id and bcrypt, one hash at a time on the whole machine.

    verify ── Line: one at a time in this worker ── thread, low priority ── flock ── hash
                └── further ones wait; who signed in from there before goes first

Hashing is made to be slow, so whoever sends passwords makes the machine work. It never gets more
than one core of it, and that core only while nothing else wants it.
"""

import asyncio
import fcntl
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from kho.oci.errors import TooManyRequests
from kho.server import telemetry
from kho.server.index.errors import Invalid
from kho.server.resources import Resources
from kho.server.threads import Threads

MAX_BYTES: Final = 1024
BCRYPT_BYTES: Final = 72  # bcrypt reads no more
LOCK: Final = "hashing.lock"
# A tenth of a busy core, and all of an idle one.
NICENESS: Final = 10
# Those that may wait in one worker, and how many of these places are kept for familiar addresses.
PLACES: Final = 16
KEPT_PLACES: Final = 8
RETRY_SECONDS: Final = 5
# After a wrong password from an unfamiliar address the next unfamiliar one waits, so many times as
# long as the hash took: guessing gets a ninth of a core in each worker, even of an idle machine.
REST: Final = 8.0

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_BASE64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_LAST: Final = "A"  # of a base64 text: no bit beyond the last byte is set

T = TypeVar("T")


class Cost(NamedTuple):
    """What one argon2id takes: about 70 ms of a core of 2020."""

    kibibytes: int = 32 * 1024
    rounds: int = 3


class Line:
    """Those of one worker that want something hashed."""

    def __init__(self) -> None:
        self.cost = Cost()
        self.rest_factor = REST
        self._threads = Threads("hashing", 1, _step_back)
        self._busy = False
        self._familiar: deque[asyncio.Future[None]] = deque()
        self._strangers: deque[asyncio.Future[None]] = deque()
        self._rested_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._familiar) + len(self._strangers)

    async def run(
        self, lock: str, work: Callable[[], T], *, familiar: bool, wrong: Callable[[T], bool]
    ) -> T:
        """Do `work` when nobody else on the machine does. Raises TooManyRequests.

        After a stranger's that is `wrong` other strangers wait.
        """
        loop = asyncio.get_running_loop()
        if self._busy or not (familiar or self._rested_at <= loop.time()):
            await self._turn(familiar=familiar)
        self._busy = True
        try:
            done, took = await self._threads.submit(_alone, lock, work)
            if not familiar and wrong(done):
                self._rested_at = loop.time() + self.rest_factor * took
        finally:
            self._next()
        return done

    def close(self) -> None:
        """Wait for the hash that is being made."""
        self._threads.close()

    def forgive(self) -> None:
        """The last password was right after all, as somebody else knows."""
        self._rested_at = float("-inf")

    async def _turn(self, *, familiar: bool) -> None:
        if self.waiting >= (PLACES if familiar else PLACES - KEPT_PLACES):
            raise TooManyRequests(
                "too many logins at once; try again shortly", retry_after=RETRY_SECONDS
            )
        turn = asyncio.get_running_loop().create_future()
        line = self._familiar if familiar else self._strangers
        line.append(turn)
        if not self._busy:
            self._wait_for_rest()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._next()  # it was this one's turn: the next may have it
            else:
                with suppress(ValueError):
                    line.remove(turn)
            raise

    def _next(self) -> None:
        """Hand over to who waits; strangers only once the line has rested."""
        lines = [self._familiar]
        if self._rested_at <= asyncio.get_running_loop().time():
            lines.append(self._strangers)
        for line in lines:
            while line:
                turn = line.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._busy = False
        if self._strangers:
            self._wait_for_rest()

    def _wait_for_rest(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._rested_at, self._wake)

    def _wake(self) -> None:
        self._timer = None
        if not self._busy:
            self._busy = True
            self._next()


async def hash_password(resources: Resources, password: str) -> str:
    """The argon2id hash to keep. Raises Invalid, and TooManyRequests."""
    given = encoded(password)
    if not given:
        raise Invalid("a password has 1 to 1024 bytes of UTF-8")
    cost = resources.memory.keep(Line).cost

    def work() -> str:
        from argon2.low_level import Type, hash_secret  # noqa: PLC0415

        salt = secrets.token_bytes(_SALT_BYTES)
        return hash_secret(
            given, salt, cost.rounds, cost.kibibytes, 1, _HASH_BYTES, Type.ID
        ).decode()

    return await hashing(resources, work, familiar=True)


async def hashing(
    resources: Resources,
    work: Callable[[], T],
    *,
    familiar: bool = False,
    wrong: Callable[[T], bool] = lambda _: False,
) -> T:
    """Do `work`, which hashes, in the one thread that may; `familiar` goes before others.

    `wrong` says of a result that the password was. Raises TooManyRequests.
    """
    lock = str(resources.config.data / LOCK)
    line = resources.memory.keep(Line)
    return await line.run(lock, work, familiar=familiar, wrong=wrong)


def encoded(password: str) -> bytes | None:
    """The password's bytes; None for one that nobody can have: empty, too long, no Unicode."""
    try:
        given = password.encode()
    except UnicodeEncodeError:
        return None
    return given if 0 < len(given) <= MAX_BYTES else None


def argon2_matches(hashed: str | None, given: bytes, cost: Cost) -> bool:
    """Compare, in the calling thread; None costs what a hash of `cost` does."""
    from argon2.exceptions import Argon2Error, InvalidHashError  # noqa: PLC0415
    from argon2.low_level import Type, verify_secret  # noqa: PLC0415

    try:
        right = verify_secret((hashed or _nobodys_argon2(cost)).encode(), given, Type.ID)
    except (Argon2Error, InvalidHashError):
        return False
    return right and hashed is not None


def outdated(hashed: str, cost: Cost) -> bool:
    """Whether a new hash would be made in another way than this one, which has just matched."""
    from argon2 import Parameters, Type, extract_parameters  # noqa: PLC0415

    wanted = Parameters(
        Type.ID, 19, _SALT_BYTES, _HASH_BYTES, cost.rounds, cost.kibibytes, parallelism=1
    )
    return extract_parameters(hashed) != wanted


def bcrypt_matches(hashed: str | None, given: bytes, cost: int) -> bool:
    """Compare, in the calling thread; always as much work as one hash of `cost`, or its own."""
    import bcrypt  # noqa: PLC0415

    given = given[:BCRYPT_BYTES]
    own = cost if hashed is None else bcrypt_cost(hashed)
    right = bcrypt.checkpw(given, (hashed or _nobodys_bcrypt(own)).encode("ascii"))
    # Each cost is twice the work of the one before: 2^own + 2^own + ... + 2^(cost-1) = 2^cost.
    for rest in range(own, cost):
        bcrypt.checkpw(given, _nobodys_bcrypt(rest).encode("ascii"))
    return right and hashed is not None


def bcrypt_cost(hashed: str) -> int:
    """12 of `$2y$12$...`."""
    return int(hashed[4:6])


@lru_cache(maxsize=8)
def _nobodys_argon2(cost: Cost) -> str:
    """A hash that no password has, with the parameters and sizes of a real one.

    Kept: to draw it again for each unknown user would tell them from known ones.
    """
    salt, value = (
        "".join(secrets.choice(_BASE64) for _ in range((size * 8) // 6)) + _LAST
        for size in (_SALT_BYTES, _HASH_BYTES)
    )
    return f"$argon2id$v=19$m={cost.kibibytes},t={cost.rounds},p=1${salt}${value}"


def _nobodys_bcrypt(cost: int) -> str:
    return f"$2b${cost:02}$" + "." * 53


def _step_back() -> None:
    """Lower the priority of the calling thread alone."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _alone(lock: str, work: Callable[[], T]) -> tuple[T, float]:
    """Do `work` while no other process on the data folder does; its seconds of a core, too."""
    try:
        held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        telemetry.log_event("cannot hold others back from hashing", "warning", reason=str(error))
        return _timed(work)
    try:
        with suppress(OSError):  # a file system without locks: each worker hashes for itself
            fcntl.flock(held, fcntl.LOCK_EX)
        return _timed(work)
    finally:
        os.close(held)


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.thread_time()
    done = work()
    return done, time.thread_time() - started
