"""The rules: pure; facts in, verdict or exception out."""
