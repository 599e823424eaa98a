"""The operator's commands, as they are typed."""
