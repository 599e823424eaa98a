"""Parts of a URL become values, or the error of their kind."""

import pytest

from kho.oci.digest import Digest
from kho.oci.errors import (
    BlobUploadUnknown,
    DigestInvalid,
    NameInvalid,
    RegistryError,
    TagInvalid,
)
from kho.server.web.converters import convert

UPLOAD = "0b5e0d1c-96f1-4dfd-b6a0-2a1a5c7e0f00"
DIGEST = f"sha256:{'a' * 64}"


def test_every_part_is_parsed() -> None:
    values = convert({"name": "a/b", "digest": DIGEST, "reference": "latest", "upload": UPLOAD})
    assert values.name == "a/b"
    assert values.digest == Digest("sha256", "a" * 64)
    assert values.reference == "latest"
    assert values.upload_id == UPLOAD
    assert convert({"reference": DIGEST}).reference == values.digest


@pytest.mark.parametrize(
    "parts, error",
    [
        ({"name": "A"}, NameInvalid),
        ({"name": "A", "digest": "bad"}, NameInvalid),
        ({"name": "a", "digest": "bad"}, DigestInvalid),
        ({"name": "a", "reference": "bad:"}, DigestInvalid),
        ({"name": "a", "reference": "-bad"}, TagInvalid),
        ({"name": "a", "upload": "bad"}, BlobUploadUnknown),
    ],
)
def test_a_bad_part_raises_its_error(parts: dict[str, str], error: type[RegistryError]) -> None:
    with pytest.raises(error):
        convert(parts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        UPLOAD + "\n",
        UPLOAD.upper(),
        UPLOAD.replace("-", ""),
        "{" + UPLOAD + "}",
        f"urn:uuid:{UPLOAD}",
        UPLOAD.replace("0", "٠"),
        UPLOAD[:-1],
        f"../{UPLOAD}",
        ".probe-1",
    ],
)
def test_only_the_canonical_form_of_an_upload_id(text: str) -> None:
    with pytest.raises(BlobUploadUnknown):
        convert({"upload": text})
