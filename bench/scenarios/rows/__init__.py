"""Rows of the scenario table. Each file has `rows(settings)`, and is named in PARTS."""
