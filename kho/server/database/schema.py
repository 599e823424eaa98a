"""Every table on one page.

    repositories ─┬─< repository_blobs >── blobs         which repository may read which blob
                  ├─< manifests ──< manifest_references  config, layers, children of an index
                  │       └──────< tags                  a tag cannot outlive its manifest
                  └─< tag_history                        every move of a tag, kept for ever
    uploads                                              sessions, by repository name: there
                                                         may be no such repository yet

Digests are text (`sha256:...`), times milliseconds since the epoch by the database's clock. Text
that is compared or sorted does so by bytes in both databases. Bodies come last in a row: SQLite
reads a long row only up to the column that is asked for.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

REVISION: Final = "0001"  # the newest step in migrations/versions

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)

Bytewise = Text().with_variant(Text(collation="C"), "postgresql")
Whole = BigInteger().with_variant(Integer(), "sqlite")

_STRICT: Final[dict[str, Any]] = {"sqlite_strict": True}
_BY_KEY: Final[dict[str, Any]] = {"sqlite_strict": True, "sqlite_with_rowid": False}


def _identity() -> Column[int]:
    return Column("id", Whole, Identity(), primary_key=True)


def _repository(*, primary_key: bool = False) -> Column[int]:
    return Column(
        "repository_id",
        Whole,
        ForeignKey("repositories.id"),
        primary_key=primary_key,
        nullable=False,
    )


def _required(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Bytewise, primary_key=key, nullable=False)


def _at(name: str) -> Column[int]:
    return Column(name, Whole, nullable=False)


repositories = Table(
    "repositories",
    metadata,
    _identity(),
    Column("name", Bytewise, nullable=False, unique=True),
    Column(
        "sort_key", Bytewise, nullable=False, unique=True
    ),  # `/` as `!`: children before siblings
    _at("created_at"),
    **_STRICT,
)

blobs = Table(
    "blobs",
    metadata,
    _required("digest", key=True),
    Column("size", Whole, nullable=False),
    _at("created_at"),
    **_BY_KEY,
)

repository_blobs = Table(
    "repository_blobs",
    metadata,
    _repository(primary_key=True),
    Column("digest", Bytewise, ForeignKey("blobs.digest"), primary_key=True),
    _at("created_at"),
    Index(None, "digest"),
    **_BY_KEY,
)

manifests = Table(
    "manifests",
    metadata,
    _identity(),
    _repository(),
    _required("digest"),
    _required("media_type"),
    Column("artifact_type", Bytewise),
    Column("subject_digest", Bytewise),
    Column("size", Whole, nullable=False),
    _at("created_at"),
    Column("annotations", Text),  # JSON, only where a list of referrers shows them
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("repository_id", "digest"),
    # artifact_type last, so that a filter is answered from the index alone.
    Index(None, "repository_id", "subject_digest", "digest", "artifact_type"),
    **_STRICT,
)

manifest_references = Table(
    "manifest_references",
    metadata,
    Column("manifest_id", Whole, ForeignKey("manifests.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    _required("digest"),
    Column(
        "kind",
        Text,
        CheckConstraint("kind IN ('config', 'layer', 'manifest')", "kind"),
        nullable=False,
    ),
    Index(None, "digest"),
    **_BY_KEY,
)

tags = Table(
    "tags",
    metadata,
    _repository(primary_key=True),
    _required("name", key=True),
    _required("digest"),
    _at("updated_at"),
    # I3: the database itself refuses a tag without its manifest, whatever races with whatever.
    ForeignKeyConstraint(
        ["repository_id", "digest"], ["manifests.repository_id", "manifests.digest"]
    ),
    Index(None, "repository_id", "digest"),
    **_BY_KEY,
)

tag_history = Table(
    "tag_history",
    metadata,
    _identity(),
    _repository(),
    _required("tag"),
    Column("from_digest", Bytewise),
    Column("to_digest", Bytewise),
    _required("actor"),
    _at("at"),
    Index(None, "repository_id", "tag", "id"),
    **_STRICT,
)

uploads = Table(
    "uploads",
    metadata,
    _required("id", key=True),
    _required("repository"),
    _required("actor"),
    _required("algorithm"),
    Column("size", Whole, nullable=False),
    _at("started_at"),
    _at("touched_at"),
    Column("state", LargeBinary),
    Index(None, "touched_at"),
    **_STRICT,
)
