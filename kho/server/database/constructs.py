"""SQL that SQLite and PostgreSQL spell differently, as SQLAlchemy constructs."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, ColumnElement, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TableValuedAlias


class Now(FunctionElement[int]):
    """Milliseconds since the epoch by the database's clock, never by the worker's (I10)."""

    inherit_cache = True
    type = BigInteger()


@compiles(Now, "sqlite")
def _now_sqlite(_element: Now, _compiler: SQLCompiler, **_: Any) -> str:
    return "CAST(round(unixepoch('now', 'subsec') * 1000) AS INTEGER)"


@compiles(Now, "postgresql")
def _now_postgresql(_element: Now, _compiler: SQLCompiler, **_: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


class OneOf(FunctionElement[bool]):
    """`column` is one of the strings of a JSON list, however long the list is."""

    inherit_cache = True
    type = Boolean()

    def __init__(self, column: ColumnElement[str], parameter: str) -> None:
        super().__init__(column, bindparam(parameter, type_=Text()))


@compiles(OneOf, "sqlite")
def _one_of_sqlite(element: OneOf, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, strings = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({strings}))"


@compiles(OneOf, "postgresql")
def _one_of_postgresql(element: OneOf, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, strings = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"{column} = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST({strings} AS jsonb))))"


class _Strings(FunctionElement[Any]):
    """A JSON list of strings, as rows."""

    inherit_cache = True


@compiles(_Strings, "sqlite")
def _strings_sqlite(element: _Strings, compiler: SQLCompiler, **kwargs: Any) -> str:
    (listed,) = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"(SELECT value FROM json_each({listed}))"


@compiles(_Strings, "postgresql")
def _strings_postgresql(element: _Strings, compiler: SQLCompiler, **kwargs: Any) -> str:
    (listed,) = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"(SELECT jsonb_array_elements_text(CAST({listed} AS jsonb)) AS value)"


def strings(parameter: str) -> TableValuedAlias:
    """The rows (value) of a JSON list of strings."""
    return _Strings(bindparam(parameter, type_=Text())).table_valued("value", name=parameter)


class _Entries(FunctionElement[Any]):
    """A JSON list of lists of two strings, as rows."""

    inherit_cache = True


@compiles(_Entries, "sqlite")
def _entries_sqlite(element: _Entries, compiler: SQLCompiler, **kwargs: Any) -> str:
    (pairs,) = (compiler.process(clause, **kwargs) for clause in element.clauses)
    fields = "key AS position, value ->> 0 AS first, value ->> 1 AS second"
    return f"(SELECT {fields} FROM json_each({pairs}))"


@compiles(_Entries, "postgresql")
def _entries_postgresql(element: _Entries, compiler: SQLCompiler, **kwargs: Any) -> str:
    (pairs,) = (compiler.process(clause, **kwargs) for clause in element.clauses)
    fields = "position - 1 AS position, value ->> 0 AS first, value ->> 1 AS second"
    listed = f"jsonb_array_elements(CAST({pairs} AS jsonb)) WITH ORDINALITY"
    return f"(SELECT {fields} FROM {listed} AS listed (value, position))"


def entries(parameter: str) -> TableValuedAlias:
    """The rows (position, first, second) of a JSON list of pairs of strings."""
    pairs = _Entries(bindparam(parameter, type_=Text()))
    return pairs.table_valued("position", "first", "second", name=parameter)
