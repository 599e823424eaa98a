"""Statement: SQLAlchemy builds it, each dialect compiles it once, the drivers execute its text."""

from collections.abc import Callable, Mapping
from functools import cached_property
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

Value = int | str | bytes | None
Row = tuple[Any, ...]
Binder = Callable[[Mapping[str, Value]], tuple[Value, ...]]

_SQLITE: Final = SQLiteDialect(paramstyle="qmark")
_POSTGRESQL: Final[Dialect] = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


class Compiled:
    """SQL text of one dialect, and how named values become its ordered parameters."""

    __slots__ = ("bind", "text")

    def __init__(self, construct: ClauseElement, dialect: Dialect) -> None:
        compiled = construct.compile(dialect=dialect)
        if not isinstance(compiled, SQLCompiler):
            raise TypeError("not a statement")
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        self.text: Final = str(compiled)
        self.bind: Final = _binder(tuple(compiled.positiontup or ()), constants)


class Statement:
    """A statement of both dialects; its named parameters are those of the construct."""

    def __init__(self, construct: ClauseElement) -> None:
        self._construct = construct

    @cached_property
    def sqlite(self) -> Compiled:
        """The text with `?`."""
        return Compiled(self._construct, _SQLITE)

    @cached_property
    def postgresql(self) -> Compiled:
        """The text with `$1`."""
        return Compiled(self._construct, _POSTGRESQL)


def _binder(names: tuple[str, ...], constants: Mapping[str, Value]) -> Binder:
    """Order values by `names`; a missing or unknown name is a TypeError, as in a call."""
    expected = len(set(names) - set(constants))
    if not names:
        pick: Callable[[Mapping[str, Value]], tuple[Value, ...]] = lambda _: ()  # noqa: E731
    elif len(names) == 1:
        pick = _single(names[0])
    else:
        pick = itemgetter(*names)

    def bind(values: Mapping[str, Value]) -> tuple[Value, ...]:
        if len(values) != expected:
            raise TypeError(f"expected the values of {sorted(set(names))}, not of {sorted(values)}")
        return pick({**constants, **values} if constants else values)

    return bind


def _single(name: str) -> Binder:
    return lambda values: (values[name],)
