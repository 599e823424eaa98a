"""The mark of stories that are told on both databases."""

import pytest

on_both_databases = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
