"""The tests: they mirror the tree, and hold it to its promises."""
