"""Side-by-side measurements of Kho and other registries, alternating in one run."""
