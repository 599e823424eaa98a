"""Pages of one repository: what it is, its tags, what happened to it, its settings."""
