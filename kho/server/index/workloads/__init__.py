"""Machines that come in with their issuer's token."""
