"""The index, below HTTP and the commands."""
