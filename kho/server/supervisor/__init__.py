"""The parent process and its workers."""
