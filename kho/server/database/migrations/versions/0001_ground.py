"""The ground: repositories, blobs, manifests, tags, uploads."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Bytewise = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table."""
    _content()
    _manifests()
    _tags()
    _uploads()


def _content() -> None:
    op.create_table(
        "repositories",
        sa.Column("id", Whole, sa.Identity(), primary_key=True),
        sa.Column("name", Bytewise, nullable=False, unique=True),
        sa.Column("sort_key", Bytewise, nullable=False, unique=True),
        sa.Column("created_at", Whole, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "blobs",
        sa.Column("digest", Bytewise, primary_key=True),
        sa.Column("size", Whole, nullable=False),
        sa.Column("created_at", Whole, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "repository_blobs",
        sa.Column("repository_id", Whole, sa.ForeignKey("repositories.id"), primary_key=True),
        sa.Column("digest", Bytewise, sa.ForeignKey("blobs.digest"), primary_key=True),
        sa.Column("created_at", Whole, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("repository_blobs_digest_idx", "repository_blobs", ["digest"])


def _manifests() -> None:
    op.create_table(
        "manifests",
        sa.Column("id", Whole, sa.Identity(), primary_key=True),
        sa.Column("repository_id", Whole, sa.ForeignKey("repositories.id"), nullable=False),
        sa.Column("digest", Bytewise, nullable=False),
        sa.Column("media_type", Bytewise, nullable=False),
        sa.Column("artifact_type", Bytewise),
        sa.Column("subject_digest", Bytewise),
        sa.Column("size", Whole, nullable=False),
        sa.Column("created_at", Whole, nullable=False),
        sa.Column("annotations", sa.Text()),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("repository_id", "digest"),
        sqlite_strict=True,
    )
    op.create_index(
        "manifests_repository_id_subject_digest_digest_artifact_type_idx",
        "manifests",
        ["repository_id", "subject_digest", "digest", "artifact_type"],
    )
    op.create_table(
        "manifest_references",
        sa.Column(
            "manifest_id",
            Whole,
            sa.ForeignKey("manifests.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("digest", Bytewise, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('config', 'layer', 'manifest')", "kind"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("manifest_references_digest_idx", "manifest_references", ["digest"])


def _tags() -> None:
    op.create_table(
        "tags",
        sa.Column("repository_id", Whole, sa.ForeignKey("repositories.id"), primary_key=True),
        sa.Column("name", Bytewise, primary_key=True),
        sa.Column("digest", Bytewise, nullable=False),
        sa.Column("updated_at", Whole, nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id", "digest"], ["manifests.repository_id", "manifests.digest"]
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("tags_repository_id_digest_idx", "tags", ["repository_id", "digest"])
    op.create_table(
        "tag_history",
        sa.Column("id", Whole, sa.Identity(), primary_key=True),
        sa.Column("repository_id", Whole, sa.ForeignKey("repositories.id"), nullable=False),
        sa.Column("tag", Bytewise, nullable=False),
        sa.Column("from_digest", Bytewise),
        sa.Column("to_digest", Bytewise),
        sa.Column("actor", Bytewise, nullable=False),
        sa.Column("at", Whole, nullable=False),
        sqlite_strict=True,
    )
    op.create_index(
        "tag_history_repository_id_tag_id_idx", "tag_history", ["repository_id", "tag", "id"]
    )


def _uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", Bytewise, primary_key=True),
        sa.Column("repository", Bytewise, nullable=False),
        sa.Column("actor", Bytewise, nullable=False),
        sa.Column("algorithm", Bytewise, nullable=False),
        sa.Column("size", Whole, nullable=False),
        sa.Column("started_at", Whole, nullable=False),
        sa.Column("touched_at", Whole, nullable=False),
        sa.Column("state", sa.LargeBinary()),
        sqlite_strict=True,
    )
    op.create_index("uploads_touched_at_idx", "uploads", ["touched_at"])
