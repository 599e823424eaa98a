"""What only one of the databases has, and the parts they are made of."""
