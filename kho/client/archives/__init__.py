"""Images in one file, and in a container engine."""
