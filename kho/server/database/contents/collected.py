"""Lists in SQL: a bounded subquery as one JSON value, and numbers as a parameter."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Select,
    Text,
    bindparam,
    exists,
    literal_column,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Collected(FunctionElement[str]):
    """All values of a column, as a JSON list."""

    inherit_cache = True
    type = Text()


@compiles(_Collected, "sqlite")
def _collected_sqlite(element: _Collected, compiler: SQLCompiler, **kwargs: object) -> str:
    (column,) = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"json_group_array({column})"


@compiles(_Collected, "postgresql")
def _collected_postgresql(element: _Collected, compiler: SQLCompiler, **kwargs: object) -> str:
    (column,) = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"CAST(coalesce(jsonb_agg({column}), '[]') AS TEXT)"


def collected(query: Select[Any], most: int) -> ColumnElement[str]:
    """The only column of the first `most` rows as a JSON list, in no order.

    `query` says itself what it correlates with.
    """
    rows = query.limit(most).subquery()
    return select(_Collected(*rows.c)).scalar_subquery()


def there(query: Select[Any]) -> ColumnElement[bool]:
    """Whether the query, which correlates by itself, has a row: looked up for each row alone.

    OFFSET keeps PostgreSQL from reading all rows that any row could want, and hashing them.
    """
    return exists(query.offset(literal_column("0")))


class _OneOfNumbers(FunctionElement[bool]):
    """A number is one of a JSON list of them."""

    inherit_cache = True
    type = Boolean()

    def self_group(self, against: object = None) -> "_OneOfNumbers":
        """Stay as it is; see constructs.OneOf."""
        del against
        return self


@compiles(_OneOfNumbers, "sqlite")
def _numbers_sqlite(element: _OneOfNumbers, compiler: SQLCompiler, **kwargs: object) -> str:
    column, numbers = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({numbers})))"  # noqa: S608


@compiles(_OneOfNumbers, "postgresql")
def _numbers_postgresql(element: _OneOfNumbers, compiler: SQLCompiler, **kwargs: object) -> str:
    column, numbers = (compiler.process(clause, **kwargs) for clause in element.clauses)
    texts = f"SELECT jsonb_array_elements_text(CAST({numbers} AS jsonb))"
    return f"({column} = ANY (CAST(ARRAY({texts}) AS BIGINT[])))"


def one_of_numbers(column: ColumnElement[int], parameter: str) -> ColumnElement[bool]:
    """Whether the column is one of a JSON list of numbers."""
    return _OneOfNumbers(column, bindparam(parameter, type_=Text()))


def numbers(values: Iterable[int]) -> str:
    """The JSON list that `one_of_numbers` takes."""
    return json.dumps(list(values))


def before() -> ColumnElement[int]:
    """The parameter `before`: pages of rows by number go down from there."""
    return bindparam("before", type_=BigInteger())
