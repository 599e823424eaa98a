"""Words of repositories, for the search; a digest is found in whichever repository."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Bytewise = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add two tables, and an index of manifests by digest."""
    op.create_table(
        "search_documents",
        sa.Column("repository_id", Whole, sa.ForeignKey("repositories.id"), primary_key=True),
        sa.Column("source", sa.Text(), nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "search_words",
        sa.Column("repository_id", Whole, sa.ForeignKey("repositories.id"), primary_key=True),
        sa.Column("word", Bytewise, primary_key=True),
        sa.Column("field", sa.Integer(), nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    columns = ["field", "word", "repository_id"]
    op.create_index("search_words_field_word_repository_id_idx", "search_words", columns)
    op.create_index("manifests_digest_idx", "manifests", ["digest"])
