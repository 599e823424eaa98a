"""Kho: a container registry: server, index and client."""

__version__ = "0.1.0"
