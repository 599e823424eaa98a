"""Who may do what: accounts, robots, grants, credentials, trust, keys, audit."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Bytewise = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables, and the mark of public repositories."""
    op.add_column(
        "repositories", sa.Column("public", sa.Integer(), nullable=False, server_default="0")
    )
    op.create_index("repositories_public_idx", "repositories", ["public", "sort_key"])
    _people()
    _rights()
    _credentials()
    _trust()
    _logins()
    _trail()


def _people() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", Whole, sa.Identity(), primary_key=True),
        sa.Column("name", Bytewise, nullable=False, unique=True),
        sa.Column("source", Bytewise, nullable=False),
        sa.Column("external_id", Bytewise, unique=True),
        sa.Column("password_hash", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("admin", sa.Integer(), nullable=False),
        sa.Column("disabled", sa.Integer(), nullable=False),
        sa.Column("created_at", Whole, nullable=False),
        sa.Column("last_login_at", Whole),
        sqlite_strict=True,
    )
    op.create_table(
        "group_names",
        sa.Column("name", Bytewise, primary_key=True),
        sa.Column("created_at", Whole, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "group_members",
        sa.Column("group_name", Bytewise, sa.ForeignKey("group_names.name"), primary_key=True),
        sa.Column("user_name", Bytewise, primary_key=True),
        sa.Column("source", Bytewise, primary_key=True),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("group_members_user_name_idx", "group_members", ["user_name"])


def _rights() -> None:
    op.create_table(
        "robots",
        sa.Column("name", Bytewise, primary_key=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Integer(), nullable=False),
        sa.Column("created_at", Whole, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "roles",
        sa.Column("name", Bytewise, primary_key=True),
        sa.Column("actions", sa.Text(), nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "grants",
        sa.Column("id", Whole, sa.Identity(), primary_key=True),
        sa.Column("subject", Bytewise, nullable=False),
        sa.Column("role", Bytewise, nullable=False),
        sa.Column("pattern", Bytewise, nullable=False),
        sa.Column("created_by", Bytewise, nullable=False),
        sa.Column("created_at", Whole, nullable=False),
        sa.UniqueConstraint("subject", "pattern", "role"),
        sqlite_strict=True,
    )


def _credentials() -> None:
    op.create_table(
        "credentials",
        sa.Column("id", Whole, sa.Identity(), primary_key=True),
        sa.Column("kind", Bytewise, nullable=False),
        sa.Column("secret_hash", Bytewise, nullable=False, unique=True),
        sa.Column("subject", Bytewise, nullable=False),
        sa.Column("name", Bytewise, nullable=False),
        sa.Column("ceiling", sa.Text()),
        sa.Column("details", sa.Text()),
        sa.Column("parent_id", Whole, sa.ForeignKey("credentials.id", ondelete="CASCADE")),
        sa.Column("lifetime", Whole),
        sa.Column("expires_at", Whole),
        sa.Column("created_at", Whole, nullable=False),
        sa.Column("last_used_at", Whole),
        sqlite_strict=True,
    )
    op.create_index("credentials_expires_at_idx", "credentials", ["expires_at"])
    op.create_index("credentials_parent_id_idx", "credentials", ["parent_id"])
    op.create_index("credentials_subject_kind_name_idx", "credentials", ["subject", "kind", "name"])


def _trust() -> None:
    op.create_table(
        "trust_rules",
        sa.Column("name", Bytewise, primary_key=True),
        sa.Column("issuer", Bytewise, nullable=False),
        sa.Column("audience", Bytewise, nullable=False),
        sa.Column("conditions", sa.Text(), nullable=False),
        sa.Column("robot", Bytewise, nullable=False),
        sa.Column("jwks_url", sa.Text()),
        sa.Column("created_at", Whole, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "issuer_keys",
        sa.Column("issuer", Bytewise, primary_key=True),
        sa.Column("document", sa.Text()),
        sa.Column("fetched_at", Whole),
        sa.Column("attempted_at", Whole, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "signing_keys",
        sa.Column("kid", Bytewise, primary_key=True),
        sa.Column("algorithm", Bytewise, nullable=False),
        sa.Column("private_key", sa.Text(), nullable=False),
        sa.Column("created_at", Whole, nullable=False),
        sa.Column("retires_at", Whole),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _logins() -> None:
    op.create_table(
        "throttles",
        sa.Column("key", Bytewise, primary_key=True),
        sa.Column("free_at", Whole, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("throttles_free_at_idx", "throttles", ["free_at"])
    op.create_table(
        "familiar_addresses",
        sa.Column("user_name", Bytewise, primary_key=True),
        sa.Column("address", Bytewise, primary_key=True),
        sa.Column("seen_at", Whole, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("familiar_addresses_seen_at_idx", "familiar_addresses", ["seen_at"])


def _trail() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", Whole, sa.Identity(), primary_key=True),
        sa.Column("at", Whole, nullable=False),
        sa.Column("action", Bytewise, nullable=False),
        sa.Column("outcome", Bytewise, nullable=False),
        sa.Column("actor", Bytewise, nullable=False),
        sa.Column("repository", Bytewise),
        sa.Column("target", Bytewise),
        sa.Column("address", Bytewise),
        sa.Column("request_id", Bytewise),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("details", sa.Text()),
        sqlite_strict=True,
    )
    op.create_index("audit_events_actor_id_idx", "audit_events", ["actor", "id"])
    op.create_index("audit_events_at_idx", "audit_events", ["at"])
    op.create_index("audit_events_repository_id_idx", "audit_events", ["repository", "id"])
    op.create_table(
        "revisions",
        sa.Column("name", Bytewise, primary_key=True),
        sa.Column("value", Whole, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
