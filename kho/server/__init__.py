"""The house: the registry server."""
