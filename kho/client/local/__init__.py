"""The images that this user keeps: one store for all runs of kho."""
