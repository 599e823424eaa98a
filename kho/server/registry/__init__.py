"""What a registry does."""
