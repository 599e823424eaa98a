"""Making the schema, and refusing what is not ours or not our time's."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.schema import CreateIndex, CreateTable

from kho.server.database import statement
from kho.server.database.drivers.revision import _MIGRATIONS
from kho.server.database.errors import UnreachableDatabase, UnusableDatabase
from kho.server.database.open import SchemaState, check, migrate, open_database
from kho.server.database.schema import REVISION, metadata

# Everything that the catalogues know of tables, columns, keys and indexes.
CATALOGUE = {
    "sqlite": [
        (
            "SELECT m.name, m.sql LIKE '%STRICT%', m.sql LIKE '%WITHOUT ROWID%', x.* FROM"
            " sqlite_schema m, pragma_table_xinfo(m.name) x WHERE m.type = 'table' ORDER BY 1, 4"
        ),
        (
            'SELECT m.name, l.name, l."unique", l.origin, x.* FROM sqlite_schema m,'
            " pragma_index_list(m.name) l, pragma_index_xinfo(l.name) x ORDER BY 1, 2, 5"
        ),
        (
            "SELECT m.name, f.* FROM sqlite_schema m, pragma_foreign_key_list(m.name) f"
            " ORDER BY 1, f.id, f.seq"
        ),
    ],
    "postgresql": [
        (
            "SELECT table_name, ordinal_position, column_name, data_type, collation_name,"
            " is_nullable, is_identity FROM information_schema.columns"
            " WHERE table_schema = 'public' ORDER BY 1, 2"
        ),
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        (
            "SELECT conname, conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
        ),
    ],
}


def test_from_nothing_to_current(empty_url: str) -> None:
    assert check(empty_url) is SchemaState.EMPTY
    assert check(empty_url) is SchemaState.EMPTY
    migrate(empty_url)
    assert check(empty_url) is SchemaState.CURRENT
    migrate(empty_url)
    assert check(empty_url) is SchemaState.CURRENT


async def test_an_empty_database_is_not_opened(empty_url: str) -> None:
    with pytest.raises(UnusableDatabase, match="khod migrate"):
        await open_database(empty_url)


@pytest.fixture
def catalogue(dialect: str, sql: Callable[[str], str]) -> Callable[[], list[str]]:
    return lambda: [sql(query) for query in CATALOGUE[dialect]]


async def test_a_newer_database_is_refused_untouched(
    empty_url: str, sql: Callable[[str], str], catalogue: Callable[[], list[str]]
) -> None:
    migrate(empty_url)
    sql("UPDATE alembic_version SET version_num = '9999'")
    before = catalogue()
    assert check(empty_url) is SchemaState.NEWER
    with pytest.raises(UnusableDatabase, match="newer than this program"):
        migrate(empty_url)
    with pytest.raises(UnusableDatabase, match="newer than this program"):
        await open_database(empty_url)
    assert catalogue() == before
    assert sql("SELECT version_num FROM alembic_version") == "9999"


async def test_an_older_database_is_not_opened(empty_url: str, sql: Callable[[str], str]) -> None:
    migrate(empty_url)
    sql("UPDATE alembic_version SET version_num = '0000'")
    assert check(empty_url) is SchemaState.OLDER
    with pytest.raises(UnusableDatabase, match="older"):
        await open_database(empty_url)


@pytest.mark.parametrize(
    "tables",
    [
        ["CREATE TABLE users (id INTEGER)"],
        [
            "CREATE TABLE alembic_version (version_num TEXT)",
            "INSERT INTO alembic_version VALUES ('ae1027a6acf')",
        ],
    ],
)
def test_another_programs_database_is_refused(
    empty_url: str, tables: list[str], sql: Callable[[str], str]
) -> None:
    for table in tables:
        sql(table)
    for step in (check, migrate):
        with pytest.raises(UnusableDatabase, match="another program"):
            step(empty_url)


def test_the_steps_lead_to_the_schema(
    dialect: str, empty_url: str, sql: Callable[[str], str], catalogue: Callable[[], list[str]]
) -> None:
    """The migrations, one after the other, make exactly what schema.py describes."""
    migrate(empty_url)
    migrated = catalogue()
    for table in reversed(metadata.sorted_tables):
        sql(f"DROP TABLE {table.name}")
    compiler = statement._SQLITE if dialect == "sqlite" else statement._POSTGRESQL
    for table in metadata.sorted_tables:
        sql(str(CreateTable(table).compile(dialect=compiler)))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            sql(str(CreateIndex(index).compile(dialect=compiler)))
    assert migrated == catalogue()
    assert all(migrated)


def test_the_program_knows_its_newest_step() -> None:
    numbers = sorted(path.name[:4] for path in (_MIGRATIONS / "versions").glob("0*.py"))
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    assert numbers[-1] == REVISION


NEVER_COMPARED = [
    "accounts.email",
    "accounts.password_hash",
    "audit_events.details",
    "credentials.ceiling",
    "credentials.details",
    "images.kind",
    "images.labels",
    "images.platforms",
    "issuer_keys.document",
    "layer_listings.reason",
    "layer_listings.state",
    "manifest_references.kind",
    "manifests.annotations",
    "readmes.body",
    "repositories.description",
    "robots.description",
    "roles.actions",
    "search_documents.source",
    "signing_keys.private_key",
    "storage_checks.checked",
    "storage_checks.findings",
    "storage_checks.state",
    "trust_rules.conditions",
    "trust_rules.jwks_url",
]


def test_text_is_compared_by_bytes(empty_url: str, sql: Callable[[str], str]) -> None:
    migrate(empty_url)
    if empty_url.startswith("postgresql"):
        columns = sql(
            "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE"
            " table_schema = 'public' AND data_type = 'text'"
            " AND collation_name IS DISTINCT FROM 'C' ORDER BY 1"
        )
        assert columns.splitlines() == NEVER_COMPARED
    else:
        assert "COLLATE" not in sql("SELECT group_concat(sql) FROM sqlite_schema")


def test_unreachable(tmp_path: Path) -> None:
    for step in (check, migrate):
        with pytest.raises(UnreachableDatabase, match="cannot be reached"):
            step(f"postgresql://kho@/kho?host={tmp_path}")


def test_sqlite_where_no_file_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnusableDatabase, match=r"file/kho\.db"):
        migrate(f"sqlite:///{tmp_path}/file/kho.db")
    with pytest.raises(UnusableDatabase, match=r"nowhere/kho\.db"):
        migrate(f"sqlite:///{tmp_path}/nowhere/kho.db")
    with pytest.raises(UnusableDatabase):
        check(f"sqlite:///{tmp_path}")


def test_sqlite_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "kho.db").write_bytes(b"not a database, but long enough for a header" * 100)
    for step in (check, migrate):
        with pytest.raises(UnusableDatabase, match="not a database"):
            step(f"sqlite:///{tmp_path}/kho.db")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".db"] == ["kho.db"]


@pytest.mark.parametrize("url", ["mysql://root@host/kho", "kho.db", "sqlite:///", "sqlite://", ""])
def test_urls_of_no_database(url: str) -> None:
    with pytest.raises(UnusableDatabase, match="not a database"):
        check(url)


def test_passwords_stay_out_of_messages(tmp_path: Path) -> None:
    with pytest.raises(UnusableDatabase) as caught:
        check(f"postgresql://kho:s3cret@/kho?host={tmp_path}")
    assert "s3cret" not in str(caught.value)
