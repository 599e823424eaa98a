"""Checks of what is stored, as an administrator asks for them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Bytewise = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add a table."""
    states = "state IN ('waiting', 'running', 'done', 'stopped', 'failed')"
    op.create_table(
        "storage_checks",
        sa.Column("id", Whole, sa.Identity(), primary_key=True),
        sa.Column("asked_at", Whole, nullable=False),
        sa.Column("asked_by", Bytewise, nullable=False),
        sa.Column("quick", sa.Integer(), nullable=False),
        sa.Column("repair", sa.Integer(), nullable=False),
        sa.Column("min_age_ms", Whole, nullable=False),
        sa.Column(
            "state",
            sa.Text(),
            sa.CheckConstraint(states, "state"),
            nullable=False,
        ),
        sa.Column("lease_until", Whole),
        sa.Column("started_at", Whole),
        sa.Column("ended_at", Whole),
        sa.Column("found", Whole, nullable=False, server_default="0"),
        sa.Column("repaired", Whole, nullable=False, server_default="0"),
        sa.Column("checked", sa.Text(), nullable=False, server_default="{}"),
        sa.Column("findings", sa.Text(), nullable=False, server_default="[]"),
        sqlite_strict=True,
    )
    op.create_index("storage_checks_state_idx", "storage_checks", ["state"])
