"""Rows of the search: the words of each repository, written with it and asked for."""
