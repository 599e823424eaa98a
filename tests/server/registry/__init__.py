"""What a registry does, below HTTP."""
