"""`n` of a page, the Link to the next one, and query strings."""

from urllib.parse import parse_qsl, unquote

from kho.oci.errors import BlobUploadInvalid, PageNumberInvalid
from kho.oci.ranges import next_link, parse_count
from kho.server.config import Config
from kho.server.web.request import QUERY_FIELDS, Message, Request
from tests.fuzz import texts

MAXIMUM = 1000
CONFIG = Config()


def check(data: bytes) -> None:
    number, query, last = texts.split(data, 3)
    check_count(texts.unicode(number))
    check_query(query)
    check_link(texts.path(number), [("last", texts.unicode(last)), ("n", 7)])


def check_count(text: str) -> None:
    try:
        found = parse_count(text, 100, MAXIMUM)
    except PageNumberInvalid:
        assert not (text.isascii() and text.isdigit() and len(text) <= 6)
    else:
        assert text.isascii()
        assert text.isdigit()
        assert found == min(int(text), MAXIMUM)


def check_link(path: str, query: list[tuple[str, str | int]]) -> None:
    """Clients cut at the first `;`, and split at commas."""
    key, value = next_link(path, query)
    assert key == "Link"
    target, _, rest = value.partition(";")
    assert rest == ' rel="next"'
    assert target[0] + target[-1] == "<>"
    assert target.isascii()
    assert target.isprintable()
    assert not set(target[1:-1]) & set("<>;, \\\"'")
    where, _, asked = target[1:-1].partition("?")
    assert unquote(where, errors="strict") == path
    pairs = parse_qsl(asked, keep_blank_values=True, strict_parsing=True)
    assert pairs == [(key, str(value)) for key, value in query]


async def nothing() -> Message:
    return {"type": "http.disconnect"}


def check_query(query: bytes) -> None:
    request = Request({"path": "/", "headers": [], "query_string": query}, nothing, CONFIG)
    try:
        for key in ("n", "last", "digest", "mount", "tag"):
            values = request.query_all(key)
            assert request.query(key) == (values[0] if values else None)
            assert "\0" not in "".join(values) or b"\0" in query
    except BlobUploadInvalid:
        assert b"%00" in query or query.count(b"&") >= QUERY_FIELDS
