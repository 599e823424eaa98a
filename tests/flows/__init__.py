"""Whole requests through the application, one test per user story."""
