"""Parsers under inputs that nobody thought of: `make fuzz` searches, the tests replay."""
