"""Pages for administrators: who there is, what they may do, what happened."""
