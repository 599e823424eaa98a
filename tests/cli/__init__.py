"""Tests of the client's door."""
