"""Faults that only root can make: run as root, left out otherwise."""
