"""Numbered steps of the schema; each leaves the previous minor version able to serve."""
