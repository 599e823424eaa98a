"""Alembic's entry: it writes SQL, and the caller executes it, so that both dialects need one driver only."""

from alembic import context

from kho.server.database.schema import metadata

context.configure(
    dialect_name=context.config.get_main_option("dialect"),
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's own transaction holds all of it
)
context.run_migrations()
