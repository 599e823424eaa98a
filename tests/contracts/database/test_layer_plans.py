"""What is asked of lists of files uses an index, however many layers and files there are."""

import re
from collections.abc import Callable

import asyncpg

from kho.server.database import layer_listings as rows
from kho.server.database.drivers.sqlite_connection import connect
from kho.server.database.engine import Statement, Value

from .samples import digest
from .test_plans import HEX, SERIES

LAYERS, FILES = 5000, 20
HELD: dict[str, Value] = {"id": 40, "attempt": 1}
PART: dict[str, Value] = {"layer_id": 40, "directory": b"d7"}
LEASE: dict[str, Value] = {"lease": 1000}
STATEMENTS: dict[str, tuple[Statement, dict[str, Value]]] = {
    "request": (rows._REQUEST, {"digests": f'["{digest(41)}"]', "state": "waiting"}),
    "is_waiting": (rows._IS_WAITING, {}),
    "lease": (rows._LEASE[0], LEASE),
    "lease what was left": (rows._LEASE[1], LEASE),
    "renew": (rows._RENEW, HELD | LEASE),
    "finish": (rows._FINISH, HELD | {"files": 1, "total_size": 1}),
    "clear": (rows._CLEAR, {"layer_id": 40}),
    "states": (rows._STATES, {"repository": "r1", "digests": f'["{digest(41)}"]'}),
    "again": (rows._AGAIN, {"digest": str(digest(41)), "failures": 3, "older_than": 1}),
    "heads": (rows._HEADS, {"ids": "[40, 41, 42]", "directory": b"d7"}),
    "part": (rows._PART, PART | {"first": b""}),
}


def grow(dialect: str, run_sql: Callable[[str], str]) -> None:
    series, hexed = SERIES[dialect], HEX[dialect].format("n")
    blob = "CAST('d' || (n % 20) AS BLOB)" if dialect == "sqlite" else "('d' || (n % 20))::bytea"
    empty = "x''" if dialect == "sqlite" else "''::bytea"
    for insert in (
        (
            "repositories (id, name, sort_key, created_at)"
            f" SELECT n, 'r' || n, 'r' || n, 0 FROM {series.format(LAYERS)}"
        ),
        f"blobs (digest, size, created_at) SELECT {hexed}, n, 0 FROM {series.format(LAYERS)}",
        f"repository_blobs SELECT 1, {hexed}, 0 FROM {series.format(LAYERS)}",
        (
            "layer_listings (id, digest, state, requested_at)"
            f" SELECT n, {hexed}, 'done', n FROM {series.format(LAYERS)}"
        ),
        (
            "layer_files (layer_id, directory, first, entries)"
            f" SELECT 1 + n / {FILES}, {blob}, {empty}, {empty}"
            f" FROM {series.format((LAYERS - 1) * FILES)}"
        ),
    ):
        run_sql(f"INSERT INTO {insert}")
    if dialect == "postgresql":
        run_sql("ANALYZE")


async def test_every_statement_about_layers_uses_an_index(
    url: str, dialect: str, run_sql: Callable[[str], str]
) -> None:
    grow(dialect, run_sql)
    for name, (statement, values) in STATEMENTS.items():
        plan = await explained(url, statement, values)
        whole = re.search(r"^SCAN (?!json_each|CONSTANT)|Seq Scan", plan, re.MULTILINE)
        assert whole is None, f"{name}:\n{plan}"


async def explained(url: str, statement: Statement, values: dict[str, Value]) -> str:
    if url.startswith("sqlite"):
        connection = connect(url.removeprefix("sqlite:///"), read_only=True)
        compiled = statement.sqlite
        asked = f"EXPLAIN QUERY PLAN {compiled.text}"
        found = connection.execute(asked, compiled.bind(values)).fetchall()
        connection.close()
        return "\n".join(row[3] for row in found)
    server = await asyncpg.connect(url)
    compiled = statement.postgresql
    lines = await server.fetch(f"EXPLAIN {compiled.text}", *compiled.bind(values))
    await server.close()
    return "\n".join(row[0] for row in lines)
