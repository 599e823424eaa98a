"""SQLite and PostgreSQL, each as an engine: connections, writes, schema."""
