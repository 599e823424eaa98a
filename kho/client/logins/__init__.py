"""Logins: where they are kept, and how one comes by them."""
