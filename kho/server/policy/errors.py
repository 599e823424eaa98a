"""What rules refuse."""

from kho.oci.errors import Worded


class Disallowed(Worded, ValueError):
    """Something that was given is not allowed; the text says what is."""
