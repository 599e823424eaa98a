"""Pages of one image, what is inside it, and of two compared."""
