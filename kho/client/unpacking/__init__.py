"""Images become folders that can be run."""
