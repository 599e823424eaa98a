"""1F: text that wants to be SQL is a word like any other, wherever the server takes one (W3).

Every query parameter of pages, API and /v1/search, and every part of their paths: no 5xx, the
answer of a harmless word, no time that passes; and no SQL that is put together out of strings.
"""

import ast
import re
import time
from urllib.parse import quote

import pytest

from kho.server.web.api.openapi import document
from kho.server.web.api.table import OPERATIONS
from kho.server.web.request import Audience
from kho.server.web.routes import ROUTES
from tests.flows.api import HOST, Signed, signed_in
from tests.flows.client import Answer
from tests.flows.databases import on_both_databases
from tests.flows.people import People
from tests.flows.registry import Registry
from tests.house.test_routes import PARTS, route_id
from tests.house.tree import python_files, text, tree

WORD = "zebra"
# Errors, answers that are always true, further statements, pauses, wild cards of LIKE.
PAYLOADS = (
    "'",
    '"',
    "\\",
    "';--",
    "' OR '1'='1",
    "' OR 1=1--",
    '" OR ""="',
    "') OR ('1'='1",
    "1 OR 1=1",
    "1; DROP TABLE repositories",
    "'; DELETE FROM tags; --",
    "' UNION SELECT password_hash FROM accounts --",
    "' UNION ALL SELECT NULL,NULL,NULL,NULL--",
    "' AND (SELECT 1 FROM pg_sleep(5)) IS NULL --",
    "'||(SELECT pg_sleep(5))||'",
    "' AND randomblob(500000000) --",
    "1 AND 1=CAST((SELECT secret_hash FROM credentials LIMIT 1) AS INTEGER)",
    "' AND extractvalue(1,concat(0x7e,version()))--",
    "'/**/OR/**/1=1#",
    "%27%20OR%201=1--",
    "%",
    "_______",
    "%%%",
    "$1",
    ":zebra",
    "?",
    "%(zebra)s",
    "* OR zebra",
    'zebra" NEAR "x',
    "labels:zebra",
    "zebra*",
    "(zebra",
    "a" * 5000,
    "zebra\x00'",
    "\ufdd0'",
    "id DESC; --",
    "(CASE WHEN 1=1 THEN created_at ELSE size END)",
    "password_hash__startswith",
)
# What the server reads of a query, wherever it does: the second argument of `query(...)`.
ASKED = re.compile(r"""(?:request\.query|choices\.text|bytes_of)\((?:request, )?"([a-z_]+)"\)""")
BOOKS = "kho/server/web"
SLOW = 2.0


def parameters() -> list[str]:
    """The names of all query parameters that code or document names."""
    found = {name for path in python_files(BOOKS) for name in ASKED.findall(text(path))}
    for methods in document(OPERATIONS)["paths"].values():
        for one in methods.values():
            found |= {each["name"] for each in one.get("parameters", ()) if each["in"] == "query"}
    return sorted(found)


READING = [
    route
    for route in ROUTES
    if route.method == "GET"
    and (route.audience is not Audience.CLIENTS or route.name in ("search", "catalog", "tags"))
]


@pytest.fixture
async def admin(registry: Registry) -> Signed:
    """Who may read everything, so that every question reaches the database."""
    await registry.push_image("some/name", "1.0", b"a layer")
    people = People(registry)
    await people.user("root", admin=True)
    people.forget()
    return await signed_in(people, "root")


async def ask(registry: Registry, admin: Signed, target: str) -> Answer:
    """As the administrator's browser."""
    return await registry.client.get(target, ("Host", HOST), admin.cookie)


def test_W3_parameters_are_known() -> None:
    known = set(parameters())
    assert {"q", "sort", "cursor", "namespace", "tag", "path", "platform", "actor", "n"} <= known
    assert len(known) > 30


@on_both_databases
async def test_W3_a_query_is_a_word(registry: Registry, admin: Signed, database_url: str) -> None:
    names = parameters()
    begun = time.perf_counter()
    step = 4 if database_url.startswith("sqlite") else 12
    asked = 0
    for number, route in enumerate(READING):
        path = route.template.format(**PARTS)
        for payload in PAYLOADS[number % step :: step]:
            value = quote(payload, safe="")
            query = "&".join(f"{name}={value}" for name in names)
            answer = await ask(registry, admin, f"{path}?{query}")
            assert answer.status < 500, (route_id(route), payload, answer)
            asked += 1
    assert time.perf_counter() - begun < SLOW * asked
    repositories = await ask(registry, admin, "/api/v1/repositories")
    assert b"some/name" in repositories.body


LISTS = (
    "/?q={}",
    "/?namespace={}",
    "/-/search?q={}",
    "/-/admin/users?q={}",
    "/some/name/-/tags?q={}",
    "/v1/search?q={}",
    "/api/v1/search?q={}",
    "/api/v1/repositories?text={}",
    "/api/v1/repositories?namespace={}",
    "/api/v1/repositories/some/name/-/tags?text={}",
)


@pytest.mark.parametrize("target", LISTS)
async def test_W3_nothing_is_found_that_has_not_the_word(
    registry: Registry, admin: Signed, target: str
) -> None:
    harmless = await ask(registry, admin, target.format(WORD))
    assert b"some/name" not in harmless.body or "/some/name/" in target
    for payload in PAYLOADS:
        if not re.search("[a-z]{3}", payload):
            continue  # what has no word in it asks for everything, or for a digit of a tag
        answer = await ask(registry, admin, target.format(quote(payload, safe="")))
        assert answer.status in (harmless.status, 400), (payload, answer)
        if answer.status == 200 and target.startswith(("/v1", "/api")):
            assert found(answer) in (found(harmless), 0), payload


def found(answer: Answer) -> int:
    """How many the list has."""
    value = answer.json()
    listed = value.get("results", value.get("items", value.get("repositories", [])))
    return len(listed)


@pytest.mark.parametrize("payload", ["'", "' OR '1'='1", '"', "%", "$1", "?", "1;--"])
async def test_W3_a_part_of_a_path_is_a_word(
    registry: Registry, admin: Signed, payload: str
) -> None:
    for route in READING:
        for part in re.findall(r"{(\w+)}", route.template):
            path = route.template.format(**{**PARTS, part: quote(payload, safe="")})
            answer = await ask(registry, admin, path)
            assert answer.status < 500, (path, answer)


# Where SQL is text of ours: constructs of our own, which SQLAlchemy compiles, and the schema.
EXCUSED = {
    "kho/server/database/constructs.py": 5,
    "kho/server/database/contents/collected.py": 1,
}
TEXTS = {
    "kho/server/database/contents/collected.py": 1,  # of the compiler
    "kho/server/database/drivers/postgres_schema.py": 1,  # the number of a lock
}
# Pragmas and the number of a lock, which are constants; SQLite binds no values there.
CONSTANTS = {
    "kho/server/database/drivers/group_commit.py": 1,
    "kho/server/database/drivers/postgres_schema.py": 1,
    "kho/server/database/drivers/shortcut.py": 1,
    "kho/server/database/drivers/soundness.py": 1,
    "kho/server/database/drivers/sqlite_connection.py": 1,
}
RAW = re.compile(r"\btext\(f\"|\.(?:execute|executemany|exec_driver_sql)\(f\"")
_SQL = re.compile(
    r"^\s*(SELECT\s.*\sFROM|INSERT\s+INTO|UPDATE\s.*\sSET|DELETE\s+FROM|DROP\s+TABLE)\b",
    re.IGNORECASE | re.DOTALL,
)


def put_together(node: ast.AST) -> bool:
    """Whether it is a string with values in it that begins like SQL."""
    if isinstance(node, ast.JoinedStr):
        values = [one for one in node.values if isinstance(one, ast.FormattedValue)]
        first = node.values[0] if node.values else None
        return bool(values) and isinstance(first, ast.Constant) and sql(first)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
        return isinstance(node.left, ast.Constant) and sql(node.left)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr == "format" and sql(node.func.value)
    return False


def sql(node: ast.AST) -> bool:
    """Whether it is a text that begins like SQL."""
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and bool(_SQL.match(node.value + " FROM"))
    )


def test_W3_sql_that_is_put_together_is_listed() -> None:
    found: dict[str, int] = {}
    for path in python_files("kho/server"):
        for node in ast.walk(tree(path)):
            if put_together(node):
                found[path] = found.get(path, 0) + 1
    assert found == TEXTS
    assert put_together(ast.parse('f"SELECT a FROM b WHERE c = {d}"', mode="eval").body)
    assert put_together(ast.parse('"DELETE FROM a WHERE b = %s" % c', mode="eval").body)


def test_W3_exceptions_are_few_and_listed() -> None:
    excused = {path: text(path).count("noqa: S608") for path in python_files("kho/server")}
    assert {path: count for path, count in excused.items() if count} == EXCUSED
    executed = {path: len(RAW.findall(text(path))) for path in python_files("kho/server")}
    assert {path: count for path, count in executed.items() if count} == CONSTANTS
