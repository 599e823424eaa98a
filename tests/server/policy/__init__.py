"""Rules without rows or bytes."""
