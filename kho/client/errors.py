"""What can go wrong here and not on the wire; every message is one line for people."""


class ClientError(Exception):
    """It cannot be done, and why."""


class Misused(ClientError):
    """What was asked for makes no sense; the line says what is allowed."""


class Missing(ClientError):
    """It is not there; the line names it, and what there is."""


class Damaged(ClientError):
    """Content that is not what its name or its manifest says."""
