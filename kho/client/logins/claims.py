"""What a signed token says of itself, unchecked: for telling people, never for trust."""

import base64
import binascii

from kho.oci.strict_json import JsonRefused, parse_object

_PARTS = 3


def read_claims(token: str) -> dict[str, object] | None:
    """The claims of a JWT; None where the text is none."""
    parts = token.split(".")
    if len(parts) != _PARTS or not token.isascii():
        return None
    text = parts[1] + "=" * (-len(parts[1]) % 4)
    try:
        return parse_object(base64.b64decode(text, altchars=b"-_", validate=True))
    except (binascii.Error, JsonRefused):
        return None


def subject_of(token: str) -> str | None:
    """Whom it speaks for, where it says so in one short line."""
    subject = (read_claims(token) or {}).get("sub")
    if isinstance(subject, str) and subject and subject.isprintable():
        return subject[:200]
    return None
