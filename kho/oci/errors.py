"""The error codes of the distribution specification, one class each.

RegistryError
├── UnknownError             500 UNKNOWN
├── Unsupported              405 UNSUPPORTED
├── Unauthorized             401 UNAUTHORIZED
├── Denied                   403 DENIED
├── Unavailable              503 UNAVAILABLE        (Retry-After)
├── InsufficientStorage      507 UNAVAILABLE        disk or database full
├── TooManyRequests          429 TOOMANYREQUESTS    (Retry-After)
├── RequestTimeout           408 BLOB_UPLOAD_INVALID
├── UnsupportedEncoding      415 UNSUPPORTED
├── PreconditionFailed       412 DENIED
├── InvalidRequest           400 UNSUPPORTED        no code of the specification fits
├── DigestInvalid            400 DIGEST_INVALID
├── SizeInvalid              400 SIZE_INVALID
├── RangeInvalid             416 RANGE_INVALID
├── NameInvalid              400 NAME_INVALID
├── TagInvalid               400 TAG_INVALID
├── UriTooLong               414 TAG_INVALID
├── PageNumberInvalid        400 PAGINATION_NUMBER_INVALID
├── NameUnknown              404 NAME_UNKNOWN
├── RouteUnknown             404 NAME_UNKNOWN       no such path in the API
├── BlobUnknown              404 BLOB_UNKNOWN
├── BlobUploadUnknown        404 BLOB_UPLOAD_UNKNOWN
├── BlobUploadInvalid        400 BLOB_UPLOAD_INVALID
└── ManifestError
    ├── ManifestUnknown      404 MANIFEST_UNKNOWN
    ├── ManifestInvalid      400 MANIFEST_INVALID
    ├── ManifestTooLarge     413 MANIFEST_INVALID
    └── ManifestBlobUnknown  400 MANIFEST_BLOB_UNKNOWN
"""

import json
from typing import ClassVar


class Worded(Exception):
    """An error whose text people read: a template, and what stands in it.

    `str(error)` is English. Pages find the template in the catalogue of their language, so it is
    written where it is raised (tests/house/test_words.py). A value may be a Worded itself.
    """

    def __init__(self, template: str, /, **values: object) -> None:
        super().__init__(template % values if values else template)
        self.template = template
        self.values = values


class Words(str):
    """A value of a text that is put into other languages, too; str() of it is English."""

    __slots__ = ()


class RegistryError(Worded):
    """An answer that the specification has a code for.

    `detail` is any JSON value; `headers` go out with the answer.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        template: str,
        /,
        *,
        detail: object = None,
        headers: tuple[tuple[str, str], ...] = (),
        **values: object,
    ) -> None:
        super().__init__(template, **values)
        self.message = str(self)
        self.detail = detail
        self.headers = headers

    def entries(self) -> list[dict[str, object]]:
        """The `errors` list of the wire form; never empty."""
        return [{"code": self.code, "message": self.message, "detail": self.detail}]

    def body(self) -> bytes:
        """The wire form, ASCII only, so that no header or log can be broken by it."""
        return json.dumps({"errors": self.entries()}).encode("ascii")


class UnknownError(RegistryError):
    """Something failed that has no code of its own."""


class Unsupported(RegistryError):
    """The method or operation is not offered here."""

    status = 405
    code = "UNSUPPORTED"


class Unauthorized(RegistryError):
    """No, or no valid, credentials."""

    status = 401
    code = "UNAUTHORIZED"


class Denied(RegistryError):
    """Credentials are fine, a policy says no."""

    status = 403
    code = "DENIED"


class Unavailable(RegistryError):
    """Try again later; nothing is wrong with the request."""

    status = 503
    code = "UNAVAILABLE"

    def __init__(
        self, template: str, /, *, retry_after: int = 2, detail: object = None, **values: object
    ) -> None:
        headers = (("Retry-After", str(retry_after)),)
        super().__init__(template, detail=detail, headers=headers, **values)


class InsufficientStorage(RegistryError):
    """Disk, inodes or database are full."""

    status = 507
    code = "UNAVAILABLE"


class TooManyRequests(RegistryError):
    """The caller is over a limit; `retry_after` in seconds."""

    status = 429
    code = "TOOMANYREQUESTS"

    def __init__(self, template: str, /, *, retry_after: int = 1, **values: object) -> None:
        super().__init__(template, headers=(("Retry-After", str(retry_after)),), **values)


class RequestTimeout(RegistryError):
    """The client stopped sending."""

    status = 408
    code = "BLOB_UPLOAD_INVALID"


class UnsupportedEncoding(RegistryError):
    """A compressed request body: bodies are stored as sent, never inflated."""

    status = 415
    code = "UNSUPPORTED"


class PreconditionFailed(RegistryError):
    """If-Match or If-None-Match does not hold."""

    status = 412
    code = "DENIED"


class InvalidRequest(RegistryError):
    """A request that makes no sense, outside the distribution API proper."""

    status = 400
    code = "UNSUPPORTED"


class DigestInvalid(RegistryError):
    """A digest that cannot be read, or content that does not match it."""

    status = 400
    code = "DIGEST_INVALID"


class SizeInvalid(RegistryError):
    """A body that is longer or shorter than announced."""

    status = 400
    code = "SIZE_INVALID"


class RangeInvalid(RegistryError):
    """A range outside the content, or a chunk out of order."""

    status = 416
    code = "RANGE_INVALID"


class NameInvalid(RegistryError):
    """A repository name outside the grammar."""

    status = 400
    code = "NAME_INVALID"


class TagInvalid(RegistryError):
    """A tag outside the grammar."""

    status = 400
    code = "TAG_INVALID"


class UriTooLong(RegistryError):
    """More tags in one request than are taken."""

    status = 414
    code = "TAG_INVALID"


class PageNumberInvalid(RegistryError):
    """`n` is not a count."""

    status = 400
    code = "PAGINATION_NUMBER_INVALID"


class NameUnknown(RegistryError):
    """No such repository."""

    status = 404
    code = "NAME_UNKNOWN"


class RouteUnknown(RegistryError):
    """No such path in the API."""

    status = 404
    code = "NAME_UNKNOWN"


class BlobUnknown(RegistryError):
    """No such blob in this repository."""

    status = 404
    code = "BLOB_UNKNOWN"


class BlobUploadUnknown(RegistryError):
    """No such upload session in this repository."""

    status = 404
    code = "BLOB_UPLOAD_UNKNOWN"


class BlobUploadInvalid(RegistryError):
    """The upload request makes no sense."""

    status = 400
    code = "BLOB_UPLOAD_INVALID"


class ManifestError(RegistryError):
    """Something about a manifest."""


class ManifestUnknown(ManifestError):
    """No such manifest or tag in this repository."""

    status = 404
    code = "MANIFEST_UNKNOWN"


class ManifestInvalid(ManifestError):
    """A manifest that breaks the specification."""

    status = 400
    code = "MANIFEST_INVALID"


class ManifestTooLarge(ManifestError):
    """A manifest over the size limit."""

    status = 413
    code = "MANIFEST_INVALID"


class ManifestBlobUnknown(ManifestError):
    """A manifest that references content which the repository lacks: one entry for each digest."""

    status = 400
    code = "MANIFEST_BLOB_UNKNOWN"

    def __init__(self, digests: list[str]) -> None:
        super().__init__("the manifest references content unknown to this repository")
        self.digests = digests

    def entries(self) -> list[dict[str, object]]:
        """One entry for each missing digest (section 4.1 of the protocol notes)."""
        return [
            {"code": self.code, "message": self.message, "detail": {"digest": digest}}
            for digest in self.digests
        ]
