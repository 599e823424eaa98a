"""SQL that SQLite and PostgreSQL spell differently, as SQLAlchemy constructs."""

import json
from collections.abc import Iterable, Sequence
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
def _now_sqlite(_element: Now, _compiler: SQLCompiler, **_: object) -> str:
    return "CAST(round(unixepoch('now', 'subsec') * 1000) AS INTEGER)"


@compiles(Now, "postgresql")
def _now_postgresql(_element: Now, _compiler: SQLCompiler, **_: object) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


class OneOf(FunctionElement[bool]):
    """`column` is one of the strings of a JSON list, however long the list is."""

    inherit_cache = True
    type = Boolean()

    def __init__(self, column: ColumnElement[str], parameter: str) -> None:
        super().__init__(column, bindparam(parameter, type_=Text()))

    def self_group(self, against: object = None) -> "OneOf":
        """Stay as it is: SQLAlchemy would add `= 1` for SQLite, which then uses no index."""
        del against
        return self


@compiles(OneOf, "sqlite")
def _one_of_sqlite(element: OneOf, compiler: SQLCompiler, **kwargs: object) -> str:
    column, strings = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({strings})))"  # noqa: S608 - SQL of SQLAlchemy


@compiles(OneOf, "postgresql")
def _one_of_postgresql(element: OneOf, compiler: SQLCompiler, **kwargs: object) -> str:
    column, strings = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"({column} = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST({strings} AS jsonb)))))"


class OneOfNumbers(FunctionElement[bool]):
    """`column` is one of the numbers of a JSON list."""

    inherit_cache = True
    type = Boolean()

    def __init__(self, column: ColumnElement[int], parameter: str) -> None:
        super().__init__(column, bindparam(parameter, type_=Text()))

    def self_group(self, against: object = None) -> "OneOfNumbers":
        """Stay as it is; see OneOf."""
        del against
        return self


@compiles(OneOfNumbers, "sqlite")
def _one_of_numbers_sqlite(element: OneOfNumbers, compiler: SQLCompiler, **kwargs: object) -> str:
    column, numbers = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({numbers})))"  # noqa: S608


@compiles(OneOfNumbers, "postgresql")
def _one_of_numbers_postgresql(
    element: OneOfNumbers, compiler: SQLCompiler, **kwargs: object
) -> str:
    column, numbers = (compiler.process(clause, **kwargs) for clause in element.clauses)
    texts = f"jsonb_array_elements_text(CAST({numbers} AS jsonb))"
    return f"({column} = ANY (ARRAY(SELECT CAST({texts} AS BIGINT))))"


class Gathered(FunctionElement[str]):
    """All numbers of a column as one JSON list, or NULL: quicker to read than as many rows."""

    inherit_cache = True
    type = Text()


@compiles(Gathered, "sqlite")
def _gathered_sqlite(element: Gathered, compiler: SQLCompiler, **kwargs: object) -> str:
    (column,) = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"json_group_array({column})"


@compiles(Gathered, "postgresql")
def _gathered_postgresql(element: Gathered, compiler: SQLCompiler, **kwargs: object) -> str:
    (column,) = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"CAST(json_agg({column}) AS TEXT)"


class Claim(FunctionElement[Any]):
    """Until the transaction ends, no other claims the same number and text.

    In SQLite there is no other: writers come one by one.
    """

    inherit_cache = True

    def __init__(self, number: str, text: str) -> None:
        super().__init__(bindparam(text, type_=Text()), bindparam(number, type_=BigInteger()))


@compiles(Claim, "sqlite")
def _claim_sqlite(element: Claim, compiler: SQLCompiler, **kwargs: object) -> str:
    text, number = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"{text} || {number}"


@compiles(Claim, "postgresql")
def _claim_postgresql(element: Claim, compiler: SQLCompiler, **kwargs: object) -> str:
    text, number = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"pg_advisory_xact_lock(hashtextextended({text}, {number}))"


class _Strings(FunctionElement[Any]):
    """A JSON list of strings, as rows."""

    inherit_cache = True


@compiles(_Strings, "sqlite")
def _strings_sqlite(element: _Strings, compiler: SQLCompiler, **kwargs: object) -> str:
    (listed,) = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"(SELECT value FROM json_each({listed}))"  # noqa: S608


@compiles(_Strings, "postgresql")
def _strings_postgresql(element: _Strings, compiler: SQLCompiler, **kwargs: object) -> str:
    (listed,) = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"(SELECT jsonb_array_elements_text(CAST({listed} AS jsonb)) AS value)"


def strings(parameter: str) -> TableValuedAlias:
    """The rows (value) of a JSON list of strings."""
    return _Strings(bindparam(parameter, type_=Text())).table_valued("value", name=parameter)


class _Entries(FunctionElement[Any]):
    """A JSON list of lists, as rows: their position, and their members by number, as text."""

    inherit_cache = False

    def __init__(self, parameter: str, names: Sequence[str]) -> None:
        super().__init__(bindparam(parameter, type_=Text()))
        members = (f"value ->> {number} AS {name}" for number, name in enumerate(names))
        self.members = ", ".join(members)


@compiles(_Entries, "sqlite")
def _entries_sqlite(element: _Entries, compiler: SQLCompiler, **kwargs: object) -> str:
    (lists,) = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"(SELECT key AS position, {element.members} FROM json_each({lists}))"  # noqa: S608


@compiles(_Entries, "postgresql")
def _entries_postgresql(element: _Entries, compiler: SQLCompiler, **kwargs: object) -> str:
    (lists,) = (compiler.process(clause, **kwargs) for clause in element.clauses)
    fields = f"position - 1 AS position, {element.members}"
    listed = f"jsonb_array_elements(CAST({lists} AS jsonb)) WITH ORDINALITY"
    return f"(SELECT {fields} FROM {listed} AS listed (value, position))"  # noqa: S608


def entries(parameter: str, *names: str) -> TableValuedAlias:
    """The rows (position, first, second) of a JSON list of pairs; or of lists with these names.

    In PostgreSQL members are text, in SQLite what they are in JSON.
    """
    names = names or ("first", "second")
    return _Entries(parameter, names).table_valued("position", *names, name=parameter)


def listed(values: Iterable[object]) -> str:
    """The JSON list of their texts, which `OneOf` and `strings` take."""
    return json.dumps([str(value) for value in values])
