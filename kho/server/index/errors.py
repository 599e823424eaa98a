"""Why an operation on accounts, tokens, grants was refused; the text is for the operator."""

from kho.oci.errors import Worded


class Refused(Worded):
    """Nothing was changed."""


class Invalid(Refused):
    """What was given is not allowed; the text names what is."""


class NotFound(Refused):
    """There is no such thing."""


class Conflict(Refused):
    """There is one already, or something still stands on it."""
