"""Parts of the URL become values; a bad one raises its OCI error."""

import re
from typing import Final

from kho.oci.digest import parse_digest
from kho.oci.errors import BlobUploadUnknown
from kho.oci.reference import parse_name, parse_reference
from kho.server.web.request import Values

# Canonical form only: braces, URNs and missing hyphens are other spellings of another's session.
_UPLOAD_ID: Final = re.compile(
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII
)
_PARSED: Final = frozenset({"name", "digest", "reference", "upload"})


def convert(parts: dict[str, str]) -> Values:
    """Parse every part that the template has; the name first."""
    return Values(
        name=parse_name(parts["name"]) if "name" in parts else "",
        digest=parse_digest(parts["digest"]) if "digest" in parts else None,
        reference=parse_reference(parts["reference"]) if "reference" in parts else "",
        upload_id=_upload_id(parts["upload"]) if "upload" in parts else "",
        parts={name: text for name, text in parts.items() if name not in _PARSED},
    )


def _upload_id(text: str) -> str:
    if _UPLOAD_ID.fullmatch(text) is None:
        raise BlobUploadUnknown("upload unknown to this repository", detail={"upload": text[:64]})
    return text
