"""Pages and hot statements use an index, whatever has grown beside them."""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from kho.server.database import blobs, manifests, referrers, repositories, tags, uploads
from kho.server.database.drivers.sqlite_connection import connect
from kho.server.database.engine import Database, Statement, Transaction, Value
from kho.server.database.identities import accounts, grants, groups
from kho.server.database.referrers import ReferrerRow
from kho.server.policy.patterns import name_range

from .content_statements import CONTENTS, SETS
from .samples import digest

Explain = Callable[[Statement, dict[str, Value]], Awaitable[str]]

TAGS, REPOSITORIES, REFERRERS, USERS = 20_000, 5_000, 5_000, 5_000
HEX = {
    "sqlite": "printf('sha256:%064x', {0})",
    "postgresql": "'sha256:' || lpad(to_hex({0}), 64, '0')",
}
SERIES = {
    "sqlite": "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {0})"
    " SELECT n FROM s) AS s",
    "postgresql": "generate_series(1, {0}) AS s(n)",
}
SUBJECT = digest(0xFFFFFF)

PARAMETERS: dict[str, Value] = {
    "repository": "r1",
    "repository_id": 1,
    "name": "r1",
    "tag": "t01500",
    "digest": str(digest(40)),
    "subject": str(SUBJECT),
    "artifact_types": '["rare", "none"]',
    "digests": f'["{digest(40)}", "{digest(41)}"]',
    "id": "u1",
    "older_than_ms": 1,
    "limit": 100,
    "low": "r2",
    "high": "r4",
    "expression": "^r[^/]*$",
    "like": "r%",
    "unlike": "%!%",
    "keys": '["r5", "r2"]',
    "of": "u7",
    "user": "u7",
    "external_id": "https://i u7",
    "subjects": '["user:u7", "group:g7", "everyone"]',
    "keep": 7,
    "kinds": '["session", "refresh"]',
}
STATEMENTS = {
    "repositories.find": (repositories._FIND, "name"),
    "repositories.page": (repositories._PAGE, "after limit"),
    "blobs.size": (blobs._SIZE, "repository digest"),
    "blobs.size_anywhere": (blobs._SIZE_ANYWHERE, "digest"),
    "blobs.missing": (blobs._LINKED, "repository_id digests"),
    "blobs.sizes": (blobs._SIZES, "repository_id digests"),
    "blobs.referenced": (blobs._REFERENCED, "repository digest"),
    "uploads.find": (uploads._FIND, "id repository"),
    "uploads.expired": (uploads._EXPIRED, "older_than_ms limit"),
    "manifests.by_tag": (manifests._BY_TAG, "repository tag"),
    "manifests.by_digest": (manifests._BY_DIGEST, "repository digest"),
    "manifests.missing": (manifests._PRESENT, "repository_id digests"),
    "manifests.sizes": (manifests._SIZES, "repository_id digests"),
    "manifests.referenced": (manifests._REFERENCED, "repository digest"),
    "manifests.delete": (manifests._UNTAG, "repository_id digest"),
    "referrers.page": (referrers._PAGE, "repository subject after limit"),
    "referrers.page of types": (
        referrers._PAGE_OF_TYPES,
        "repository subject after limit artifact_types",
    ),
    "referrers.page: sizes": (referrers._SIZES, "repository subject after limit"),
    "tags.page": (tags._PAGE, "repository after limit"),
    "tags.digest_of": (tags._LOCK, "repository_id tag"),
    "tags.history": (tags._HISTORY, "repository tag"),
    "repositories.is_public": (repositories._PUBLIC, "name"),
    "repositories.page_between": (repositories._PAGE_BETWEEN, "low high limit"),
    "repositories.page_between matching": (
        repositories._PAGE_MATCHING,
        "low high like unlike expression limit",
    ),
    "repositories.page_named": (repositories._PAGE_NAMED, "keys"),
    "repositories.page_public": (repositories._PAGE_PUBLIC, "after limit"),
    "repositories.rows": (repositories._ROWS, "after limit"),
    "accounts.find": (accounts._FIND, "of"),
    "accounts.by_external_id": (accounts._BY_EXTERNAL_ID, "external_id"),
    "accounts.page": (accounts._PAGE, "after limit"),
    "accounts.sign_out": (accounts._SIGN_OUT, "subject kinds keep"),
    "accounts.delete: credentials": (accounts._DROP_CREDENTIALS, "subject"),
    "accounts.delete: groups": (accounts._LEAVE_GROUPS, "of"),
    "groups.of_user": (groups._OF_USER, "user"),
    "groups.members": (groups._MEMBERS, "of"),
    "groups.page": (groups._PAGE, "after limit"),
    "grants.of_subjects": (grants._OF_SUBJECTS, "subjects"),
    "grants.of_subject": (grants._OF_SUBJECT, "subject"),
}
AFTER = {
    "repositories.page": "r3000",
    "repositories.page_public": "r3000",
    "repositories.rows": "r3000",
    "tags.page": "t01500",
    "accounts.page": "u3000",
    "groups.page": "g3000",
}


@pytest.fixture
def grown(dialect: str, run_sql: Callable[[str], str]) -> None:
    """Many repositories; one of them with many tags, blobs and referrers."""
    hexed, spread = (HEX[dialect].format(number) for number in ("n", f"(n % {REFERRERS} + 1)"))

    def series(count: int) -> str:
        return SERIES[dialect].format(count)

    padded = {"sqlite": "printf('t%05d', n)", "postgresql": "'t' || lpad(n::text, 5, '0')"}[dialect]
    body = "X'7B7D'" if dialect == "sqlite" else r"'\x7b7d'"
    columns = (
        "repository_id, digest, media_type, artifact_type, subject_digest, size, created_at, body"
    )
    for insert in (
        (
            "repositories (id, name, sort_key, created_at, public)"
            " SELECT n, 'r' || n, 'r' || n, 0, CASE n % 10 WHEN 7 THEN 1 ELSE 0 END"
            f" FROM {series(REPOSITORIES)}"
        ),
        f"blobs SELECT {hexed}, 1, 0 FROM {series(REFERRERS)}",
        f"repository_blobs SELECT 1, {hexed}, 0 FROM {series(REFERRERS)}",
        f"repository_blobs SELECT n, '{digest(40)}', 0 FROM {series(REPOSITORIES)} WHERE n > 1",
        (
            f"manifests ({columns}) SELECT 1, {hexed}, 'm',"
            " CASE n % 1000 WHEN 7 THEN 'rare' ELSE 'common' END,"
            f" '{SUBJECT}', 1, 0, {body} FROM {series(REFERRERS)}"
        ),
        (
            f"manifests ({columns}) SELECT n, '{digest(40)}', 'm', 'x', NULL, 1, 0, {body}"
            f" FROM {series(REPOSITORIES)} WHERE n > 1"
        ),
        (
            "manifest_references (manifest_id, position, digest, kind)"
            f" SELECT id, 0, '{digest(7)}', 'layer' FROM manifests"
        ),
        (
            "manifest_references (manifest_id, position, digest, kind)"
            " SELECT id, 1, digest, CASE id % 100 WHEN 0 THEN 'manifest' ELSE 'config' END"
            " FROM manifests"
        ),
        (
            "tags (repository_id, name, digest, updated_at)"
            f" SELECT 1, {padded}, {spread}, 0 FROM {series(TAGS)}"
        ),
        (
            "images (manifest_id, kind, platforms, layers, total_size, pushed_by)"
            " SELECT id, 'image', '[]', 1, id, '' FROM manifests"
        ),
        (
            "tag_history (repository_id, tag, actor, at)"
            f" SELECT 1, {padded}, 'x', 0 FROM {series(TAGS)}"
        ),
        (
            "audit_events (at, action, outcome, actor, repository, count)"
            f" SELECT n, 'x', 'allowed', '', 'r' || (n % 10), 1 FROM {series(TAGS)}"
        ),
        f"uploads SELECT 'u' || n, 'r1', 'x', 'sha256', 0, 0, 100000 + n, NULL FROM {series(TAGS)}",
        (
            "accounts (name, source, external_id, admin, disabled, created_at)"
            f" SELECT 'u' || n, 'oidc', 'https://i u' || n, 0, 0, 0 FROM {series(USERS)}"
        ),
        f"group_names SELECT 'g' || n, 0 FROM {series(USERS)}",
        f"group_members SELECT 'g' || n, 'u' || (n % 100), 'ldap' FROM {series(USERS)}",
        f"roles SELECT 'role' || n, '[]' FROM {series(USERS)}",
        (
            "grants (subject, role, pattern, created_by, created_at)"
            f" SELECT 'user:u' || n, 'reader', 'r' || n, 'operator', 0 FROM {series(USERS)}"
        ),
        (
            "credentials (kind, secret_hash, subject, name, created_at)"
            f" SELECT 'session', 'h' || n, 'user:u' || n, '', 0 FROM {series(USERS)}"
        ),
    ):
        run_sql(f"INSERT INTO {insert}")
    if dialect == "postgresql":
        run_sql("ANALYZE")


@pytest.fixture
async def explain(url: str, grown: None) -> AsyncIterator[Explain]:  # noqa: ARG001
    """The plan of a statement, as the database prints it."""
    if url.startswith("sqlite"):
        connection = connect(url.removeprefix("sqlite:///"), read_only=True)

        async def explain_sqlite(statement: Statement, values: dict[str, Value]) -> str:
            compiled = statement.sqlite
            rows = connection.execute(
                f"EXPLAIN QUERY PLAN {compiled.text}", compiled.bind(values)
            ).fetchall()
            return "\n".join(row[3] for row in rows)

        yield explain_sqlite
        connection.close()
    else:
        server = await asyncpg.connect(url)

        async def explain_postgresql(statement: Statement, values: dict[str, Value]) -> str:
            compiled = statement.postgresql
            rows = await server.fetch(f"EXPLAIN {compiled.text}", *compiled.bind(values))
            return "\n".join(row[0] for row in rows)

        yield explain_postgresql
        await server.close()


async def test_every_statement_uses_an_index(explain: Explain) -> None:
    for name, (statement, given) in CONTENTS.items():
        plan = await explain(statement, given)
        check(name, plan, in_order="limit" in given and name not in SETS)
    for name, (statement, parameters) in STATEMENTS.items():
        values = {key: PARAMETERS[key] for key in parameters.split() if key != "after"}
        if "after" in parameters:
            values["after"] = AFTER.get(name, str(digest(2500)))
        check(name, await explain(statement, values), in_order="limit" in parameters)
    await check_glob(explain)


def check(name: str, plan: str, *, in_order: bool) -> None:
    """What is asked by a list of digests may sort that list; a page may sort nothing."""
    sorting = "|TEMP B-TREE|Sort" if in_order else ""
    whole = re.search(
        r"^SCAN (?!json_each|CONSTANT|anon)|Seq Scan" + sorting, plan, flags=re.MULTILINE
    )
    assert whole is None, f"{name}:\n{plan}"


async def check_glob(explain: Explain) -> None:
    """It is walked in order, whatever the database guesses how rare its names are.

    Not found as a whole and sorted.
    """
    values: dict[str, Value] = {"like": "%!%77%", "unlike": "", "expression": "^.*/.*77.*$"}
    span: dict[str, Value] = {"low": "", "high": "\x7f", "limit": 100}
    plan = await explain(repositories._PAGE_MATCHING, values | span)
    assert not re.search("Sort|B-TREE|Seq Scan|^SCAN", plan, re.MULTILINE), plan


async def test_pages_are_flat(grown: None, database: Database) -> None:  # noqa: ARG001
    """The first, middle and last page of each list cost the same: a few milliseconds."""
    calls: list[tuple[Any, ...]] = [
        *((tags.page, "r1", f"t{number:05}", 100) for number in (0, TAGS // 2, TAGS - 101)),
        *((repositories.page, name, 100) for name in (None, "r3", "r9")),
        *((repositories.page_public, name, 100) for name in (None, "r2", "r3")),
        *(
            (repositories.page_between, name_range(pattern), name, 100)
            for pattern in ("r**", "r*")
            for name in (None, "r3", "r9")
        ),
        *(
            (_referrers, [], str(digest(number)), 100)
            for number in (0, REFERRERS // 2, REFERRERS - 101)
        ),
    ]
    for call in calls:
        assert len(await database.read(*call)) == 100
        times = []
        for _ in range(5):
            start = time.perf_counter()
            await database.read(*call)
            times.append(time.perf_counter() - start)
        assert min(times) < 0.02, call
    rare = await database.read(_referrers, ["rare"], None, 100)
    assert len(rare) == REFERRERS // 1000


async def _referrers(
    tx: Transaction, types: list[str], after: str | None, limit: int
) -> list[ReferrerRow]:
    found = await referrers.page(
        tx, "r1", SUBJECT, types, after=after, limit=limit, most_bytes=1_000_000
    )
    return found.rows
