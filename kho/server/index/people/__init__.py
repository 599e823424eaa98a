"""Users, groups and robots, as operators keep them."""
