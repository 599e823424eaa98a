"""What is written is read back, and is the same each time."""

import io
import tarfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kho.layers.errors import LayerRefused
from kho.layers.tar import Entry, Kind
from kho.layers.writer import TarWriter
from tests.layers.archives import Dripping, members

paths = st.binary(min_size=1, max_size=400).filter(
    lambda path: b"\0" not in path and not path.endswith(b"/")
)
deep = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=12).map(b"/".join)
names = paths | deep.filter(lambda path: b"\0" not in path and not path.endswith(b"/"))
ids = st.integers(0, 2**21 + 5) | st.integers(0, 2**32)
attributes = st.dictionaries(
    st.binary(min_size=1, max_size=30).filter(lambda key: not {0, ord("=")} & set(key)),
    st.binary(max_size=300),
    max_size=4,
)


@st.composite
def pairs(draw: Any) -> tuple[Entry, bytes]:
    kind = draw(st.sampled_from(list(Kind)))
    content = draw(st.binary(max_size=1500)) if kind is Kind.FILE else b""
    device = kind in {Kind.CHARACTER, Kind.BLOCK}
    entry = Entry(
        path=draw(names) + (b"/" if kind is Kind.DIRECTORY else b""),
        kind=kind,
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(ids),
        gid=draw(ids),
        size=len(content),
        mtime_ns=draw(
            st.integers(-(2**40), 2**62) | st.integers(0, 2**33).map(lambda s: s * 10**9)
        ),
        link=draw(paths) if kind in {Kind.SYMLINK, Kind.HARDLINK} else b"",
        major=draw(st.integers(0, 2**20)) if device else 0,
        minor=draw(st.integers(0, 2**20)) if device else 0,
        xattrs=draw(attributes),
    )
    return entry, content


def written(found: list[tuple[Entry, bytes]]) -> bytes:
    file = io.BytesIO()
    writer = TarWriter(file.write)
    for entry, content in found:
        writer.add(entry, Dripping(content) if content else None)
    writer.close()
    return file.getvalue()


@given(st.lists(pairs(), max_size=4))
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read(found: list[tuple[Entry, bytes]]) -> None:
    content = written(found)
    assert members(Dripping(content)) == found
    assert len(content) % 10240 == 0
    assert content == written(found)


@given(st.lists(pairs(), max_size=4))
@settings(max_examples=50, deadline=None)
def test_python_reads_what_is_written(found: list[tuple[Entry, bytes]]) -> None:
    with tarfile.open(fileobj=io.BytesIO(written(found)), errors="surrogateescape") as tar:
        listed = [(one.name.encode("utf-8", "surrogateescape"), one.size) for one in tar]
    assert listed == [(entry.path.rstrip(b"/"), entry.size) for entry, _ in found]


def test_pax_only_where_ustar_cannot_say_it() -> None:
    path = b"p" * 150 + b"/" + b"n" * 100
    entry = Entry(path, Kind.FILE, uid=2**21 - 1, mtime_ns=(2**33 - 1) * 10**9)
    assert b"PaxHeaders" not in written([(entry, b"")])
    (found, _), *_ = members(written([(entry, b"")]))
    assert found.path == path


def test_the_order_of_attributes_makes_no_difference() -> None:
    one = Entry(b"a", Kind.FILE, xattrs={b"user.b": b"1", b"user.a": b"2"})
    other = Entry(b"a", Kind.FILE, xattrs={b"user.a": b"2", b"user.b": b"1"})
    assert written([(one, b"")]) == written([(other, b"")])


def test_a_folder_is_written_with_a_slash() -> None:
    ((entry, _),) = members(written([(Entry(b"folder", Kind.DIRECTORY), b"")]))
    assert entry.path == b"folder/"


@pytest.mark.parametrize("content", [b"", b"ab", b"abcd"])
def test_content_of_another_size_is_refused(content: bytes) -> None:
    with pytest.raises(LayerRefused, match="a: the content does not have 3 bytes"):
        TarWriter(io.BytesIO().write).add(Entry(b"a", Kind.FILE, size=3), io.BytesIO(content))


@pytest.mark.parametrize(
    "entry",
    [
        Entry(b"", Kind.FILE),
        Entry(b"a\0", Kind.FILE),
        Entry(b"a/", Kind.FILE),
        Entry(b"a", Kind.SYMLINK),
        Entry(b"a", Kind.HARDLINK, link=b"\0"),
        Entry(b"a", Kind.FILE, uid=-1),
        Entry(b"a", Kind.FILE, gid=2**63),
        Entry(b"a", Kind.FILE, mtime_ns=2**63),
        Entry(b"a", Kind.BLOCK, major=2**21),
        Entry(b"a", Kind.FILE, xattrs={b"user=a": b""}),
        Entry(b"a", Kind.FILE, xattrs={b"": b""}),
        Entry(b"a", Kind.FILE, xattrs={b"user.a": bytes(1 << 20)}),
    ],
)
def test_what_tar_cannot_say_is_refused(entry: Entry) -> None:
    file = io.BytesIO()
    with pytest.raises(LayerRefused):
        TarWriter(file.write).add(entry)
    assert file.getvalue() == b""
