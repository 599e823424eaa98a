"""`kho` beside the programs that people use: the same work in turns, against the same khod."""
