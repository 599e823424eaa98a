"""What a database offers, whichever it is.

    registry ── database.read(work, ...) ───> work(tx, ...) ──> tx.one, all, run(statement, ...)
             └─ database.write(work, ...) ──┘

`work` is a coroutine function that waits for nothing but its transaction, and that may run more
than once: a lost race is tried again from the start.
"""

from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from kho.server.database.statement import Row, Statement, Value

__all__ = ["Database", "Row", "Statement", "Transaction", "Value"]

P = ParamSpec("P")
T = TypeVar("T")


class Transaction(Protocol):
    """Statements that succeed or fail together (in a read: statements in a row)."""

    @property
    def alone(self) -> bool:
        """Whether writes come one by one, so that nothing changes meanwhile."""
        ...

    async def one(self, statement: Statement, /, **values: Value) -> Row | None:
        """The first row."""
        ...

    async def all(self, statement: Statement, /, **values: Value) -> list[Row]:
        """Every row."""
        ...

    async def run(self, statement: Statement, /, **values: Value) -> int:
        """Execute, and count the rows that were affected."""
        ...


class Database(Protocol):
    """SQLite or PostgreSQL, opened by one worker."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        ...

    def edition(self) -> bytes | None:
        """What every commit changes, whoever makes it; None where that cannot be seen.

        Rows that were read after it are as new as any while it stays the same.
        """
        ...

    async def read(
        self,
        work: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `work` on committed rows, each statement on the newest. Raises Unavailable."""
        ...

    async def write(
        self,
        work: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `work` in one transaction, which is durable when this returns.

        `work` must be idempotent: it runs again after a lost race, and after a connection that
        broke at COMMIT, when nobody can know whether the first run counted.
        Raises Unavailable or InsufficientStorage when nothing could be promised.
        """
        ...

    async def write_lazily(
        self,
        work: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Like `write`, but a power cut may take back what no later `write` has made durable.

        The order of writes is kept. Killed processes lose nothing.
        """
        ...

    async def read_settled(
        self,
        work: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `work`, which locks its rows, after every `write_lazily` of them whose caller ended.

        Also when the caller was cancelled, or killed: what it was about to write counts by now,
        or never will.
        """
        ...

    async def remove(
        self,
        work: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Like `write`, for work that makes room: room is kept back for it on a full disk."""
        ...

    async def ping(self) -> None:
        """Raise Unavailable unless a query is answered."""
        ...

    async def close(self) -> None:
        """Finish what was handed over, then let go of everything."""
        ...
