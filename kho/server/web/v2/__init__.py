"""The distribution API, one file per noun."""
