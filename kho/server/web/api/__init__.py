"""The JSON API of the index."""
