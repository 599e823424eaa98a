"""The tables that only the index needs: what is there, what happened to it, what is inside."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from kho.server.database.columns import (
    BY_KEY,
    STRICT,
    Bytewise,
    Whole,
    at,
    counted,
    identity,
    metadata,
    repository,
    required,
)

readmes = Table(
    "readmes",
    metadata,
    repository(primary_key=True),
    at("updated_at"),
    required("updated_by"),
    Column("body", Text, nullable=False),  # Markdown
    **BY_KEY,
)

images = Table(
    "images",
    metadata,
    Column("manifest_id", Whole, ForeignKey("manifests.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "kind",
        Text,
        CheckConstraint("kind IN ('image', 'index', 'artifact')", "kind"),
        nullable=False,
    ),
    Column("platforms", Text, nullable=False),  # JSON: list of os/architecture[/variant]
    Column("config_digest", Bytewise),
    Column("layers", Integer, nullable=False),
    Column("total_size", Whole, nullable=False),  # manifest, config, layers; of an index all images
    Column("built_at", Whole),  # what the config says of itself
    Column("labels", Text),  # JSON: of config and manifest together
    required("pushed_by"),
    counted("pulled_at"),
    counted("pulls"),
    **BY_KEY,
)

traffic = Table(
    "traffic",
    metadata,
    repository(primary_key=True),
    Column("day", Integer, primary_key=True),  # since the epoch, UTC
    required("tag", key=True),  # "" is the repository as a whole
    counted("pulls"),
    counted("pushes"),
    Index(None, "day"),
    **BY_KEY,
)

layer_listings = Table(
    "layer_listings",
    metadata,
    identity(),
    Column("digest", Bytewise, nullable=False, unique=True),
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('waiting', 'running', 'done', 'refused')", "state"),
        nullable=False,
    ),
    Column("reason", Text),  # why it was refused, for people
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease_until", Whole),  # somebody is at it until then
    Column("files", Whole),
    Column("total_size", Whole),  # uncompressed
    at("requested_at"),
    Column("listed_at", Whole),
    Index(None, "state", "requested_at"),
    **STRICT,
)

layer_files = Table(
    "layer_files",
    metadata,
    Column(
        "layer_id", Whole, ForeignKey("layer_listings.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("directory", LargeBinary, primary_key=True),  # as in the layer; paths need not be UTF-8
    # The first name of a part of a large directory; the first part has none.
    Column("first", LargeBinary, primary_key=True),
    Column("entries", LargeBinary, nullable=False),  # packed: kho/server/inspection/packed.py
    **BY_KEY,
)
