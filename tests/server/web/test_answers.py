"""Headers and bodies that answers share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.oci.digest import Digest
from kho.server.web.v2.answers import empty_answer, etag_matches, json_answer, not_modified

DIGEST = Digest.of(b"x")


@pytest.mark.parametrize(
    "header, matches",
    [
        (None, False),
        ("", False),
        ("*", True),
        (f"{DIGEST}", True),
        (f'"{DIGEST}"', True),
        (f'W/"{DIGEST}"', True),
        (f'"a", "{DIGEST}" , "b"', True),
        (f'"a",W/"{DIGEST}"', True),
        (f'"{DIGEST}', False),
        (f'"{str(DIGEST)[:-1]}"', False),
        (f'"{str(DIGEST).upper()}"', False),
        ('"*"', False),
        (",,,", False),
    ],
)
def test_if_none_match(header: str | None, matches: bool) -> None:
    assert etag_matches(header, DIGEST) is matches


@given(st.text(max_size=50))
def test_any_header_can_be_compared(header: str) -> None:
    assert etag_matches(header, DIGEST) is ("*" in [part.strip() for part in header.split(",")])


def test_lengths() -> None:
    answer = json_answer(200, {"é": "\u2028"})
    headers = dict(answer.headers)
    assert headers[b"content-length"] == b"%d" % len(answer.body)
    assert answer.body.isascii()
    assert dict(empty_answer(201).headers)[b"content-length"] == b"0"
    for bare in (empty_answer(204), not_modified(DIGEST)):
        assert b"content-length" not in dict(bare.headers)


def test_names_of_headers_are_in_lower_case_as_asgi_wants_them() -> None:
    for answer in (json_answer(200, {}, ("Link", "x")), empty_answer(202, ("Location", "/v2/"))):
        assert all(name == name.lower() for name, _ in answer.headers)
