"""Whole repositories, again and again."""
