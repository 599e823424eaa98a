"""The words: values of the specifications, standard library only, no I/O."""
