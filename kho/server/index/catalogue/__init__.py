"""What is there, as it is listed for people and programs: typed pages, no HTML."""
