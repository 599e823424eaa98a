"""Rows of who may do what: people, groups, robots, grants, and how they prove themselves."""
