"""The user's door: `kho`."""
