"""One command of `kho` to a file, loaded when it is called."""
