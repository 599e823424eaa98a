"""The web floor, piece by piece; whole requests are in tests/flows."""
