"""Alembic's entry: it writes the SQL that its caller executes (one driver for each database)."""

from alembic import context

from kho.server.database.schema import metadata

context.configure(
    dialect_name=context.config.get_main_option("dialect"),
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's own transaction holds all of it
)
context.run_migrations()
