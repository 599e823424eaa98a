"""The table of checks of what is stored, which administrators ask for."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, Text

from kho.server.database.columns import STRICT, Whole, at, counted, identity, metadata, required

storage_checks = Table(
    "storage_checks",
    metadata,
    identity(),
    at("asked_at"),
    required("asked_by"),
    Column("quick", Integer, nullable=False),
    Column("repair", Integer, nullable=False),
    Column("min_age_ms", Whole, nullable=False),
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('waiting', 'running', 'done', 'stopped', 'failed')", "state"),
        nullable=False,
    ),
    Column("lease_until", Whole),  # a worker is at it until then
    Column("started_at", Whole),
    Column("ended_at", Whole),
    counted("found"),
    counted("repaired"),
    Column("checked", Text, nullable=False, server_default="{}"),  # JSON: noun to number
    Column("findings", Text, nullable=False, server_default="[]"),  # JSON: the first of them
    Index(None, "state"),
    **STRICT,
)
