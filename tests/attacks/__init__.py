"""Attacks of RELIABILITY section 1, by id: test_A1_... is row A1."""
