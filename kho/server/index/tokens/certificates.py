"""Chains of certificates in tokens, checked as Go's x509 does for registry:2.

The first certificate signed the token; each one is issued by the next, the last by a root that
we were given, or is a root itself. Names and usages of the first one do not matter: it is no
server's.
"""

import base64
import binascii
import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from kho.server.index.jose.jws import Untrusted

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_LONGEST: Final = 6
# What is critical and not understood makes a certificate invalid; name constraints are not.
_UNDERSTOOD: Final = frozenset({
    "2.5.29.15",  # key usage
    "2.5.29.17",  # subject alternative name
    "2.5.29.19",  # basic constraints
    "2.5.29.37",  # extended key usage
})  # fmt: skip


def read(content: bytes) -> list["Certificate"]:
    """The certificates of a PEM file. Raises ValueError."""
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415

    try:
        found = load_pem_x509_certificates(content)
        for one in found:
            one.public_key()
    except Exception as error:
        # cryptography raises exceptions of its own beside ValueError
        raise ValueError("it is not a PEM file of certificates") from error
    return found


def verified_key(chain: Sequence[str], roots: Sequence["Certificate"], now: float) -> Any:  # noqa: ANN401
    """The public key of the chain's first certificate. Raises Untrusted.

    `chain` is the header's `x5c`: base64 of DER. `now` in seconds since the epoch.
    """
    if not 1 <= len(chain) <= _LONGEST:
        raise Untrusted(f"its x5c has not 1 to {_LONGEST} certificates")
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    given = [_read_der(one) for one in chain]
    if not _leads_to_root(given, roots, moment):
        raise Untrusted("its x5c does not chain to token.rootcertbundle")
    return given[0].public_key()


def _read_der(text: str) -> "Certificate":
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415

    try:
        return load_der_x509_certificate(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise Untrusted("its x5c holds what is no certificate") from error


def _leads_to_root(
    given: Sequence["Certificate"], roots: Sequence["Certificate"], moment: dt.datetime
) -> bool:
    """Whether a root comes up on the way: each must be issued by the next (RFC 7515, 4.1.6)."""
    for depth, one in enumerate(given):
        if not _is_valid(one, moment):
            return False
        if one in roots:
            return True
        if any(_issued(one, root, depth) and _is_valid(root, moment) for root in roots):
            return True
        if depth + 1 == len(given) or not _issued(one, given[depth + 1], depth):
            return False
    return False


def _is_valid(one: "Certificate", moment: dt.datetime) -> bool:
    try:
        extensions = list(one.extensions)
    except ValueError:  # a broken or doubled one
        return False
    known = all(
        not extension.critical or extension.oid.dotted_string in _UNDERSTOOD
        for extension in extensions
    )
    return known and one.not_valid_before_utc <= moment <= one.not_valid_after_utc


def _issued(one: "Certificate", by: "Certificate", below: int) -> bool:
    """Whether `by` is a certificate authority that signed `one`, `below` others under it."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.x509 import BasicConstraints, ExtensionNotFound, KeyUsage  # noqa: PLC0415

    try:
        constraints = by.extensions.get_extension_for_class(BasicConstraints).value
        one.verify_directly_issued_by(by)
        usage = by.extensions.get_extension_for_class(KeyUsage).value
    except ExtensionNotFound as error:
        # Without a key usage a key may do everything; without constraints it is no authority.
        if error.oid != KeyUsage.oid:
            return False
        usage = None
    except (InvalidSignature, ValueError, TypeError):
        return False
    if not constraints.ca or (usage is not None and not usage.key_cert_sign):
        return False
    return constraints.path_length is None or below <= constraints.path_length
