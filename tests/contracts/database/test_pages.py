"""Every statement that reads a page finds its beginning in an index, and is in order there."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

from kho.server import database
from kho.server.database import drivers, identities, searching
from kho.server.database.drivers.sqlite_connection import connect
from kho.server.database.open import migrate
from kho.server.database.statement import Statement

# The first repositories of a blob that has lost its bytes; the tokens of one person; the most
# pulled of all, which an index has first.
OTHERS = {"inventory._HOLDERS", "credentials._PAGE_OF_SUBJECT", "search._POPULAR"}
WHOLE = re.compile(r"^SCAN (?!json_each|CONSTANT|anon_)|TEMP B-TREE", re.MULTILINE)


def pages() -> Iterator[tuple[str, Statement]]:
    for room, module in modules():
        held = vars(importlib.import_module(f"{room}.{module}"))
        for name, value in held.items():
            if isinstance(value, Statement) and re.search(
                r"ORDER BY.*LIMIT \?", value.sqlite.text, re.DOTALL
            ):
                yield f"{module}.{name}", value


def modules() -> Iterator[tuple[str, str]]:
    """Room and module; what is in `contents` has tests of its own."""
    for room in (database, drivers, identities, searching):
        for module in pkgutil.iter_modules(room.__path__):
            yield room.__name__, module.name


def test_every_page_is_found_by_an_index(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path}/kho.db")
    connection = connect(f"{tmp_path}/kho.db", read_only=True)
    found = dict(pages())
    assert {"tags._PAGE", "repositories._PAGE", "inventory._BLOBS", "grants._PAGE"} <= found.keys()
    plans = {}
    for name, statement in found.items():
        text = statement.sqlite.text
        rows = connection.execute(f"EXPLAIN QUERY PLAN {text}", (None,) * text.count("?"))
        plans[name] = "\n".join(row[3] for row in rows)
    connection.close()
    assert {name: plan for name, plan in plans.items() if WHOLE.search(plan)}.keys() == OTHERS, (
        plans
    )


def test_no_page_is_counted_off() -> None:
    for file in Path(database.__file__).parent.rglob("*.py"):
        text = file.read_text().replace('.offset(literal_column("0"))', "")  # counts nothing off
        assert ".offset(" not in text, file
