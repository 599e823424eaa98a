"""Rows: what the registry knows, in SQLite or PostgreSQL."""
