"""JSON with one meaning, read in linear time."""

import json
import time
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.oci.strict_json import DEPTH, NESTED, JsonRefused, check_key_case, parse_object

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
integers = st.integers(-(10**17), 10**18)
values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), integers, st.floats(allow_nan=False, allow_infinity=False), text
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4)),
    max_leaves=20,
)


@given(st.dictionaries(text, values, max_size=5), st.booleans())
def test_plain_json_is_read_as_the_standard_library_reads_it(
    value: dict[str, Any], ascii_only: bool
) -> None:
    assert parse_object(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"2", "not a JSON object"),
        (b'"{}"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}x", "not JSON"),
        (b"{}{}", "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b'{"a":01}', "not JSON"),
        (b'{"a":+1}', "not JSON"),
        (b'{"a":"\n"}', "not JSON"),
        (b'{"a":"\\x41"}', "not JSON"),
        (b'\xef\xbb\xbf{"a":1}', "not JSON"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "not UTF-8"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":Infinity}', "Infinity is not JSON"),
        (b'{"a":-Infinity}', "-Infinity is not JSON"),
        (b'{"a":1,"a":1}', "stands twice"),
        (b'{"a":1,"\\u0061":2}', "stands twice"),
        (b'{"x":[{"a":1,"a":2}]}', "stands twice"),
        (b'{"a":"\\ud800"}', "lone surrogate"),
        (b'{"\\udfff":1}', "lone surrogate"),
        (b'{"a":["\\ude00\\ud83d"]}', "lone surrogate"),
        (b'{"a":' + b"9" * 20 + b"}", "19 digits"),
        (b'{"a":' + b"9" * 5000 + b"}", "19 digits"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(JsonRefused, match=reason):
        parse_object(content)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert parse_object(b'{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}
    assert parse_object(b'{"a":"\\\\ud800"}') == {"a": "\\ud800"}


@pytest.mark.parametrize("opening, closing", [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_bounded(opening: bytes, closing: bytes) -> None:
    def nested(depth: int) -> bytes:
        inner = depth - 1
        return b'{"a":' + opening * inner + b"1" + closing * inner + b"}"

    assert parse_object(nested(DEPTH))
    with pytest.raises(JsonRefused, match="nested deeper"):
        parse_object(nested(DEPTH + 1))
    with pytest.raises(JsonRefused, match="nested deeper"):
        parse_object(nested(100_000))


def test_brackets_in_strings_are_not_depth() -> None:
    value = {"a": "[" * 1000, "b": '"[{' * 100, "c": '\\"[[' * 100, "[" * 100: "\\"}
    assert parse_object(json.dumps(value).encode()) == value


def test_the_number_of_objects_is_bounded() -> None:
    with pytest.raises(JsonRefused, match="objects and lists"):
        parse_object(b'{"a":[' + b"[]," * NESTED + b"1]}")


@given(st.binary(max_size=60))
def test_any_bytes_are_an_object_or_refused(content: bytes) -> None:
    with suppress(JsonRefused):
        assert isinstance(parse_object(content), dict)


def hostile(shape: str, size: int) -> bytes:
    """A text of about `size` bytes that is bad for some way of reading."""
    head, unit, tail = {
        "escaped quotes, no end": (b'{"a":"', b'\\"', b""),
        "escaped quotes": (b'{"a":"', b'\\"', b'"}'),
        "backslashes": (b'{"a":"', b"\\\\", b'"}'),
        "a long string": (b'{"a":"', b"x", b'"}'),
        "a long string, no end": (b'{"a":"', b"x", b""),
        "empty strings": (b'{"a":[', b'"",', b'""]}'),
        "numbers": (b'{"a":[', b"1,", b"1]}"),
        "digits": (b'{"a":', b"1", b"}"),
        "decimals": (b'{"a":1.', b"1", b"}"),
        "surrogates": (b'{"a":"', b"\\ud800", b'"}'),
        "blanks": (b'{"a":', b" ", b"1}"),
        "closing brackets": (b"", b"]", b""),
        "objects": (b'{"a":[', b"{},", b"1]}"),
    }[shape]
    return head + unit * (size // len(unit)) + tail


SHAPES = [
    "escaped quotes, no end",
    "escaped quotes",
    "backslashes",
    "a long string",
    "a long string, no end",
    "empty strings",
    "numbers",
    "digits",
    "decimals",
    "surrogates",
    "blanks",
    "closing brackets",
    "objects",
]


def work(content: bytes, rounds: int = 3) -> float:
    """Processor seconds of this thread to read or refuse, the least of some runs."""
    runs = []
    for _ in range(rounds):
        started = time.thread_time()
        with suppress(JsonRefused):
            parse_object(content)
        runs.append(time.thread_time() - started)
    return min(runs)


@pytest.mark.parametrize("shape", SHAPES)
def test_eight_times_the_size_is_not_64_times_the_work(shape: str) -> None:
    small, large = (work(hostile(shape, size)) for size in (32 * 1024, 256 * 1024))
    assert large < 30 * small + 0.02
    assert work(hostile(shape, 4 * 1024 * 1024), rounds=1) < 30 * max(large, 0.005) * 16


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "objects"])
def test_memory_is_a_small_multiple_of_the_text(shape: str) -> None:
    content = hostile(shape, 1024 * 1024)
    tracemalloc.start()
    with suppress(JsonRefused):
        parse_object(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 24 * len(content)


@pytest.mark.parametrize(
    "key", ["Layers", "LAYERS", "layer\u017f", "layerS"], ids=["first", "all", "long s", "last"]
)
def test_a_known_key_in_another_case_is_refused(key: str) -> None:
    # Go's reader folds case as Unicode does: to it U+017F is an "s", U+212A a "k".
    with pytest.raises(JsonRefused, match="must be written 'layers'"):
        check_key_case({key: 1}, frozenset({"layers"}), "manifest")


def test_known_and_unknown_keys_pass() -> None:
    check_key_case({"layers": 1, "Layer": 2, "xlayers": 3}, frozenset({"layers"}), "manifest")
    with pytest.raises(JsonRefused):
        check_key_case({"\u212aey": 1}, frozenset({"key"}), "manifest")
