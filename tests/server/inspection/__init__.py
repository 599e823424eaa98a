"""Layers read in a process of its own."""
