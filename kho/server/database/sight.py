"""The filter of what a caller may see, in SQL: three statements for each question, one is run."""

from typing import Any, Final

from sqlalchemy import Boolean, ColumnElement, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import Select
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from kho.server.database.engine import Row, Transaction
from kho.server.database.schema import repositories
from kho.server.database.statement import Statement, Value
from kho.server.policy.sight import Kind, Sight

_table = repositories.c


class _Visible(FunctionElement[bool]):
    """A repository meets all conditions of `Sight.conditions`."""

    inherit_cache = True
    type = Boolean()

    def __init__(self) -> None:
        conditions = bindparam("conditions", type_=Text())
        super().__init__(conditions, _table.sort_key, _table.name, _table.public)

    def self_group(self, against: object = None) -> "_Visible":
        """Stay as it is; see constructs.OneOf."""
        del against
        return self


# SQLite would parse the conditions again for each row; a function of ours costs 2 us.
_SQLITE: Final = "(kho_sees({0}, {1}, {2}, {3}))"
# A condition of which no alternative holds hides the repository. CASE, so that an expression is
# tried within its range alone.
_POSTGRESQL: Final = (
    "(NOT EXISTS (SELECT 1 FROM jsonb_array_elements(CAST({0} AS jsonb)) AS seen WHERE NOT EXISTS ("
    "SELECT 1 FROM jsonb_array_elements(seen.value) AS way WHERE CASE"
    " WHEN way.value ->> 0 = 'public' THEN {3} = 1"
    ' WHEN {1} < (way.value ->> 0) COLLATE "C" THEN false'
    ' WHEN {1} >= (way.value ->> 1) COLLATE "C" THEN false'
    " WHEN way.value ->> 2 IS NULL THEN true"
    " ELSE {2} ~ (way.value ->> 2) END)))"
)


@compiles(_Visible, "sqlite")
def _visible_sqlite(element: _Visible, compiler: SQLCompiler, **kwargs: object) -> str:
    return _SQLITE.format(*(compiler.process(clause, **kwargs) for clause in element.clauses))


@compiles(_Visible, "postgresql")
def _visible_postgresql(element: _Visible, compiler: SQLCompiler, **kwargs: object) -> str:
    return _POSTGRESQL.format(*(compiler.process(clause, **kwargs) for clause in element.clauses))


VISIBLE: Final[ColumnElement[bool]] = (
    _Visible()
)  # for statements of `Kind.SOME`; binds `conditions`


class Seen:
    """A question about repositories, answered from those that the caller may see.

    `query` selects from `repositories` (joined or not), and binds no `conditions` of its own.
    """

    def __init__(self, query: Select[Any]) -> None:
        self._statements = {
            Kind.EVERYTHING: Statement(query),
            Kind.PUBLIC: Statement(query.where(_table.public == 1)),
            Kind.SOME: Statement(query.where(VISIBLE)),
        }

    async def all(self, tx: Transaction, /, sight: Sight, **values: Value) -> list[Row]:
        """Every row."""
        return await tx.all(self._statements[sight.kind], **self._bound(sight, values))

    async def one(self, tx: Transaction, /, sight: Sight, **values: Value) -> Row | None:
        """The first row."""
        return await tx.one(self._statements[sight.kind], **self._bound(sight, values))

    @staticmethod
    def _bound(sight: Sight, values: dict[str, Value]) -> dict[str, Value]:
        if sight.kind is Kind.SOME:
            return {**values, "conditions": sight.conditions}
        return values
