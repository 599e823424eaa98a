"""Layers as bytes: compression, tar, whiteouts; no files of this machine, no network."""
