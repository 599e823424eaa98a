"""A request as handlers see it."""

from collections.abc import Mapping

import pytest

from kho.oci.errors import RegistryError
from kho.server.config import Config
from kho.server.web.request import Message, Request
from tests.flows.client import Fields, make_scope


async def nothing() -> Message:
    """No body ever comes."""
    return {"type": "http.disconnect"}


def request(target: str = "/v2/", headers: Fields = ()) -> Request:
    """A request whose body is not read."""
    return Request(make_scope("GET", target, headers), nothing, Config())


def test_lines_of_one_header_are_joined() -> None:
    accept = [("Accept", "a/b"), ("X", "1"), ("accept", "c/d;q=0.5, e/f")]
    assert request(headers=accept).header(b"accept") == "a/b,c/d;q=0.5, e/f"
    assert request(headers=accept).header(b"absent") is None


@pytest.mark.parametrize(
    "text, length",
    [("0", 0), ("12", 12), ("-1", None), ("+5", None), ("1_0", None), ("", None), ("5,5", None)],
)
def test_a_content_length_is_ascii_digits(text: str, length: int | None) -> None:
    assert request(headers=[("Content-Length", text)]).content_length == length


def test_without_headers_there_is_no_body() -> None:
    assert not request().has_body
    assert not request(headers=[("Content-Length", "0")]).has_body
    assert request(headers=[("Content-Length", "1")]).has_body
    assert request(headers=[("Transfer-Encoding", "chunked")]).has_body


@pytest.mark.parametrize(
    "query, found",
    [
        ("", {"a": []}),
        ("a=1&a=2&b=", {"a": ["1", "2"], "b": [""]}),
        ("a=%2F+x&a=%E2%82%AC", {"a": ["/ x", "\u20ac"]}),
        ("a=%FF", {"a": ["\ufffd"]}),
        ("a;b=1", {"a": [], "b": []}),
        ("a", {"a": [""]}),
    ],
)
def test_query_parameters(query: str, found: Mapping[str, list[str]]) -> None:
    asked = request(f"/v2/?{query}")
    for key, values in found.items():
        assert asked.query_all(key) == values
        assert asked.query(key) == (values[0] if values else None)


@pytest.mark.parametrize("query", ["&".join("a" * 300), "a=%00", "a%00=1"])
def test_queries_that_are_refused(query: str) -> None:
    with pytest.raises(RegistryError) as caught:
        request(f"/v2/?{query}").query("a")
    assert caught.value.status == 400
