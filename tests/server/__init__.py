"""The server, floor by floor."""
