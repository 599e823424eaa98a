"""The pure parts of the benchmark: figures, tables, pictures, and what other programs print."""
