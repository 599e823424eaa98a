"""Layers as bytes."""
