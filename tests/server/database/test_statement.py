"""Statements: compiled once, parameters in order."""

import pytest
from sqlalchemy import Integer, bindparam, column, select, table

from kho.server.database.constructs import Now, OneOf, entries, listed, strings
from kho.server.database.statement import Statement

_table = table("t", column("a"), column("b"))


def test_values_by_name_become_parameters_in_order() -> None:
    wanted = (_table.c.b == bindparam("second")) & (_table.c.a == bindparam("first"))
    statement = Statement(select(_table.c.a).where(wanted))
    for compiled, marks in ((statement.sqlite, "??"), (statement.postgresql, ("$1", "$2"))):
        assert all(mark in compiled.text for mark in marks)
        assert compiled.bind({"first": 1, "second": 2}) == (2, 1)


def test_a_name_used_twice() -> None:
    either = (_table.c.a == bindparam("x")) | (_table.c.b == bindparam("x"))
    statement = Statement(select(_table.c.a).where(either))
    assert statement.sqlite.bind({"x": 1}) == (1, 1)
    assert statement.postgresql.bind({"x": 1}) == (1,)


def test_one_parameter_and_none() -> None:
    one = Statement(select(_table.c.a).where(_table.c.a == bindparam("x")))
    assert one.sqlite.bind({"x": 1}) == (1,)
    assert Statement(select(_table.c.a)).postgresql.bind({}) == ()


def test_constants_of_the_statement_are_filled_in() -> None:
    statement = Statement(select(_table.c.a).limit(bindparam("limit", type_=Integer())))
    assert statement.sqlite.bind({"limit": 3}) == (3, 0)  # OFFSET 0 is SQLAlchemy's
    assert statement.postgresql.bind({"limit": 3}) == (3,)


@pytest.mark.parametrize("values", [{}, {"y": 1}, {"x": 1, "y": 1}])
def test_missing_and_unknown_names_are_refused(values: dict[str, int]) -> None:
    statement = Statement(select(_table.c.a).where(_table.c.a == bindparam("x")))
    with pytest.raises((TypeError, KeyError)):
        statement.sqlite.bind(values)


def test_it_is_compiled_once() -> None:
    statement = Statement(select(_table.c.a))
    assert statement.sqlite is statement.sqlite


def test_what_the_dialects_spell_differently() -> None:
    pairs = entries("pairs")
    statement = Statement(
        select(Now(), pairs.c.position, strings("names").c.value).where(OneOf(_table.c.a, "some"))
    )
    assert "unixepoch" in statement.sqlite.text
    assert statement.sqlite.text.count("json_each(?)") == 3
    assert "clock_timestamp" in statement.postgresql.text
    assert statement.postgresql.text.count("AS jsonb") == 3


def test_listed_is_json_of_texts() -> None:
    assert listed(["a", 1, 'ê"']) == '["a", "1", "\\u00ea\\""]'
