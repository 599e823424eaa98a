"""Signed tokens and keys as RFC 7515 and 7517 write them."""
