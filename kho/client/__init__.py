"""The workbench: images on this machine and between registries, without a daemon."""
