"""What can be wrong with a database, beyond the errors that a client may see."""


class UnusableDatabase(Exception):
    """The database cannot be served from; the message is one line for the operator."""


class UnreachableDatabase(UnusableDatabase):
    """Nobody answers there, for now."""


class ConstraintViolated(Exception):
    """A statement broke a rule of the schema, and not because of a lost race."""
