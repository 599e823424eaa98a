"""Range, Content-Range, page counts and links."""

from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.oci.errors import PageNumberInvalid, RangeInvalid
from kho.oci.ranges import (
    ByteRange,
    next_link,
    parse_chunk,
    parse_count,
    parse_next,
    parse_part,
    parse_range,
    parse_upload_range,
    upload_range,
)

small = st.integers(0, 40)


def model(first: int | None, last: int | None, size: int) -> list[int] | None:
    """The offsets that the range means, by looking at each; None for 416."""
    if first is None:
        assert last is not None
        offsets = list(range(size))[-last:] if last else []
    else:
        offsets = [at for at in range(size) if at >= first and (last is None or at <= last)]
    return offsets or None


@given(st.one_of(st.none(), small), st.one_of(st.none(), small), small)
def test_a_range_means_what_the_model_says(first: int | None, last: int | None, size: int) -> None:
    if first is None and last is None:
        assert parse_range("bytes=-", size) is None
        return
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    expected = model(first, last, size)
    if expected is None:
        with pytest.raises(RangeInvalid) as caught:
            parse_range(header, size)
        assert caught.value.headers == (("Content-Range", f"bytes */{size}"),)
        return
    found = parse_range(header, size)
    assert found is not None
    assert list(range(found.start, found.stop)) == expected
    assert found.length == len(expected)


@pytest.mark.parametrize("header", ["bytes=500-0", "bytes=1000-", "bytes=1000-2000", "bytes=-0"])
def test_ranges_outside_are_416(header: str) -> None:
    with pytest.raises(RangeInvalid):
        parse_range(header, 1000)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=0x1-2",
        "bytes=1_0-20",
        "bytes=+1-2",
        "bytes=٠-١",
        "bytes=0-1,3-4",
        "bytes=0-1, 3-4",
        "lines=0-1",
        "bytes=0-1\nbytes=2-3",
        "bytes=" + "9" * 20 + "-",
        "bytes=0-" + "9" * 20,
        "bytes=-" + "9" * 20,
        "bytes=" + "0-0," * 10_000,
    ],
)
def test_what_is_not_one_range_means_the_whole(header: str) -> None:
    assert parse_range(header, 1000) is None


@given(st.text(max_size=30), st.integers(0, 2**63))
def test_any_header_gives_a_range_inside_or_none_or_416(header: str, size: int) -> None:
    try:
        found = parse_range(header, size)
    except RangeInvalid:
        return
    assert found is None or 0 <= found.start < found.stop <= size


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_a_chunk_names_its_first_and_last_byte(first: int, last: int) -> None:
    for header in (f"{first}-{last}", f"bytes {first}-{last}/*", f" {first}-{last} "):
        if last < first:
            with pytest.raises(RangeInvalid):
                parse_chunk(header)
        else:
            assert parse_chunk(header) == ByteRange(first, last + 1)


@pytest.mark.parametrize(
    "header",
    [
        *("", "-", "0-", "-5", "bytes=0-5", "0-5,6-7", "a-b", "0-5\n0-5", "0 - 5", "1_0-20"),
        *("٠-١", "0-" + "9" * 20, "+0-5", "bytes */5"),
    ],
)
def test_other_chunk_headers_are_refused(header: str) -> None:
    with pytest.raises(RangeInvalid):
        parse_chunk(header)


@pytest.mark.parametrize("size, text", [(0, "0-0"), (1, "0-0"), (2, "0-1"), (1000, "0-999")])
def test_a_session_tells_its_last_byte(size: int, text: str) -> None:
    assert upload_range(size) == text


@pytest.mark.parametrize(
    "text, expected", [(None, 7), ("0", 0), ("5", 5), ("0005", 5), ("100", 100), ("999999", 100)]
)
def test_a_count_is_clamped(text: str | None, expected: int) -> None:
    assert parse_count(text, default=7, maximum=100) == expected


@pytest.mark.parametrize(
    "text", ["", "-1", "+5", " 5", "5\n", "1_000", "٣", "1e3", "0x5", "5.0", "1000000", "9" * 5000]
)
def test_a_count_is_ascii_digits_only(text: str) -> None:
    with pytest.raises(PageNumberInvalid) as caught:
        parse_count(text, default=7, maximum=100)
    assert caught.value.detail == {"n": text[:64]}


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 999_999))
def test_a_link_survives_clients_that_cut_at_the_first_semicolon(last: str, count: int) -> None:
    name, value = next_link("/v2/a/tags/list", [("last", last), ("n", count)])
    assert name == "Link"
    assert value.isascii()
    target, _, rest = value.partition(";")
    assert rest == ' rel="next"'
    parts = urlsplit(target.removeprefix("<").removesuffix(">"))
    assert unquote(parts.path) == "/v2/a/tags/list"
    assert parse_qsl(parts.query, keep_blank_values=True) == [("last", last), ("n", str(count))]


@pytest.mark.parametrize(
    "header, found",
    [
        ("bytes 0-9/10", (ByteRange(0, 10), 10)),
        ("bytes 5-9/*", (ByteRange(5, 10), None)),
        ("bytes 9-5/10", None),
        ("bytes */10", None),
        ("0-9/10", None),
        (None, None),
    ],
)
def test_the_part_that_an_answer_holds(
    header: str | None, found: tuple[ByteRange, int | None] | None
) -> None:
    assert parse_part(header) == found


@pytest.mark.parametrize(
    "header, size",
    [("0-0", 0), ("0-9", 10), ("bytes=0-9", 10), ("1-9", None), ("", None), (None, None)],
)
def test_what_an_upload_holds(header: str | None, size: int | None) -> None:
    assert parse_upload_range(header) == size


@pytest.mark.parametrize(
    "header, url",
    [
        ('</v2/_catalog?n=1&last=a>; rel="next"', "/v2/_catalog?n=1&last=a"),
        ("<b>; rel=next", "b"),
        ('<a>; rel="prev", <b>; REL="Next"; title="x"', "b"),
        ('<a>; rel="nextish"', None),
        ("<a>", None),
        ("", None),
        (None, None),
    ],
)
def test_the_next_page(header: str | None, url: str | None) -> None:
    assert parse_next(header) == url


def test_our_own_link_is_read_back() -> None:
    _, value = next_link("/v2/a/b/tags/list", [("n", 2), ("last", "x y;z")])
    assert parse_next(value) == "/v2/a/b/tags/list?n=2&last=x%20y%3Bz"
