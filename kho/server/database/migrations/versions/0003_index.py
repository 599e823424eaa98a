"""What the index knows: pushes and pulls, images, pages, files in layers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Bytewise = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add columns to repositories and tags, and the tables of the index."""
    _repositories()
    _tags()
    _orders()
    _images()
    _traffic()
    _layers()


def _counted(name: str) -> sa.Column[int]:
    return sa.Column(name, Whole, nullable=False, server_default="0")


def _repositories() -> None:
    op.add_column(
        "repositories", sa.Column("description", sa.Text(), nullable=False, server_default="")
    )
    for name in ("pushed_at", "pulled_at", "pulls", "size", "tag_count"):
        op.add_column("repositories", _counted(name))
    op.add_column(
        "repositories", sa.Column("indexed", sa.Integer(), nullable=False, server_default="0")
    )
    for name in ("pushed_at", "pulls", "size"):
        columns = [name, "sort_key"]
        op.create_index(f"repositories_{name}_sort_key_idx", "repositories", columns)
    op.create_index("repositories_indexed_id_idx", "repositories", ["indexed", "id"])
    op.create_table(
        "readmes",
        sa.Column("repository_id", Whole, sa.ForeignKey("repositories.id"), primary_key=True),
        sa.Column("updated_at", Whole, nullable=False),
        sa.Column("updated_by", Bytewise, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _tags() -> None:
    op.add_column("tags", sa.Column("pushed_by", Bytewise, nullable=False, server_default=""))
    op.add_column("tags", _counted("pulled_at"))
    op.add_column("tags", _counted("pulls"))
    op.add_column("tags", sa.Column("natural_key", Bytewise, nullable=False, server_default=""))
    op.add_column("tags", _counted("size"))
    for name in ("natural_key", "updated_at", "size", "pulls"):
        columns = ["repository_id", name, "name"]
        op.create_index(f"tags_repository_id_{name}_name_idx", "tags", columns)


def _orders() -> None:
    for table in ("manifests", "tag_history"):
        op.create_index(f"{table}_repository_id_id_idx", table, ["repository_id", "id"])


def _images() -> None:
    op.create_table(
        "images",
        sa.Column(
            "manifest_id",
            Whole,
            sa.ForeignKey("manifests.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column(
            "kind",
            sa.Text(),
            sa.CheckConstraint("kind IN ('image', 'index', 'artifact')", "kind"),
            nullable=False,
        ),
        sa.Column("platforms", sa.Text(), nullable=False),
        sa.Column("config_digest", Bytewise),
        sa.Column("layers", sa.Integer(), nullable=False),
        sa.Column("total_size", Whole, nullable=False),
        sa.Column("built_at", Whole),
        sa.Column("labels", sa.Text()),
        sa.Column("pushed_by", Bytewise, nullable=False),
        _counted("pulled_at"),
        _counted("pulls"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _traffic() -> None:
    op.create_table(
        "traffic",
        sa.Column("repository_id", Whole, sa.ForeignKey("repositories.id"), primary_key=True),
        sa.Column("day", sa.Integer(), primary_key=True),
        sa.Column("tag", Bytewise, primary_key=True),
        _counted("pulls"),
        _counted("pushes"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("traffic_day_idx", "traffic", ["day"])


def _layers() -> None:
    op.create_table(
        "layer_listings",
        sa.Column("id", Whole, sa.Identity(), primary_key=True),
        sa.Column("digest", Bytewise, nullable=False, unique=True),
        sa.Column(
            "state",
            sa.Text(),
            sa.CheckConstraint("state IN ('waiting', 'running', 'done', 'refused')", "state"),
            nullable=False,
        ),
        sa.Column("reason", sa.Text()),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("lease_until", Whole),
        sa.Column("files", Whole),
        sa.Column("total_size", Whole),
        sa.Column("requested_at", Whole, nullable=False),
        sa.Column("listed_at", Whole),
        sqlite_strict=True,
    )
    op.create_index(
        "layer_listings_state_requested_at_idx", "layer_listings", ["state", "requested_at"]
    )
    op.create_table(
        "layer_files",
        sa.Column(
            "layer_id",
            Whole,
            sa.ForeignKey("layer_listings.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("directory", sa.LargeBinary(), primary_key=True),
        sa.Column("first", sa.LargeBinary(), primary_key=True),
        sa.Column("entries", sa.LargeBinary(), nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
