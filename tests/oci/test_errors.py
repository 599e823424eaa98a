"""Every error: its place in the drawing, its status, code and wire form."""

import json
import re

import pytest

from kho.oci import errors
from kho.oci.errors import ManifestBlobUnknown, RegistryError

# The codes of the OCI specification, and the Docker V2 ones that clients know (PROTOCOL 0.5).
CODES = {
    "UNKNOWN",
    "UNSUPPORTED",
    "UNAUTHORIZED",
    "DENIED",
    "UNAVAILABLE",
    "TOOMANYREQUESTS",
    "DIGEST_INVALID",
    "SIZE_INVALID",
    "RANGE_INVALID",
    "NAME_INVALID",
    "TAG_INVALID",
    "NAME_UNKNOWN",
    "MANIFEST_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "PAGINATION_NUMBER_INVALID",
}
NASTY = 'a\r\nX-Evil: 1\x1b[31m\u202e"<script>\u0000é'


def every(kind: type[RegistryError] = RegistryError) -> list[type[RegistryError]]:
    """All classes below `kind`, those of tests left out."""
    found = []
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            found += [child, *every(child)]
    return found


ALL = every()


def make(kind: type[RegistryError], message: str, detail: object = None) -> RegistryError:
    """One of each, however it is built."""
    if kind is ManifestBlobUnknown:
        return ManifestBlobUnknown([message])
    error = kind(message)
    error.detail = detail
    return error


def drawn() -> dict[str, tuple[int, str] | None]:
    """Class name to status and code, as the drawing at the top of the module has it."""
    rows = re.findall(r"[├└]── (\w+)(?: +(\d{3}) (\w+))?", errors.__doc__ or "")
    return {name: (int(status), code) if status else None for name, status, code in rows}


def test_the_drawing_shows_every_class_with_its_status_and_code() -> None:
    drawing = drawn()
    assert set(drawing) == {kind.__name__ for kind in ALL}
    for kind in ALL:
        expected = drawing[kind.__name__]
        assert expected is None or expected == (kind.status, kind.code), kind


def test_every_code_is_one_that_clients_know() -> None:
    assert {kind.code for kind in ALL} <= CODES


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_wire_form(kind: type[RegistryError]) -> None:
    body = json.loads(make(kind, "why", {"a": 1}).body())
    assert set(body) == {"errors"}
    (entry,) = body["errors"]
    assert set(entry) == {"code", "message", "detail"}
    assert entry["code"] == kind.code == kind.code.upper()
    assert isinstance(entry["message"], str)
    assert entry["message"]
    assert 400 <= kind.status <= 599


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_hostile_text_cannot_break_out_of_the_body(kind: type[RegistryError]) -> None:
    body = make(kind, NASTY, NASTY).body()
    assert body.isascii()
    assert not re.search(rb"[\x00-\x1f\x7f]", body)
    assert json.loads(body)["errors"][0]["detail"] in (NASTY, {"digest": NASTY})


def test_one_entry_for_each_missing_digest() -> None:
    error = ManifestBlobUnknown(["sha256:a", "sha256:b"])
    details = [entry["detail"] for entry in error.entries()]
    assert details == [{"digest": "sha256:a"}, {"digest": "sha256:b"}]
    assert {entry["code"] for entry in error.entries()} == {"MANIFEST_BLOB_UNKNOWN"}


@pytest.mark.parametrize(
    "error, seconds",
    [
        (errors.Unavailable("later"), "2"),
        (errors.Unavailable("later", retry_after=9), "9"),
        (errors.TooManyRequests("later"), "1"),
        (errors.TooManyRequests("later", retry_after=60), "60"),
    ],
)
def test_errors_that_pass_say_when_to_try_again(error: RegistryError, seconds: str) -> None:
    assert error.headers == (("Retry-After", seconds),)
