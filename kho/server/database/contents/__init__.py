"""Rows about what is in a repository, for people: wide, bounded, page by page."""
