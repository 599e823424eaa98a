"""Paths are matched from their right end, whatever words the name is made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.server.web.routes import match

WORDS = ["blobs", "uploads", "manifests", "referrers", "tags", "list", "a", "v2", "_catalog"]
names = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map("/".join)
lasts = st.one_of(
    st.sampled_from(["list", "latest", "blobs", "tags", "x"]),
    st.text(st.characters(exclude_characters="/"), min_size=1, max_size=8),
)


@given(names, st.sampled_from(["manifests", "referrers"]), lasts)
def test_a_noun_before_the_last_part(name: str, noun: str, last: str) -> None:
    part = "reference" if noun == "manifests" else "digest"
    expected = (f"/v2/{{name}}/{noun}/{{{part}}}", {"name": name, part: last})
    assert match(f"/v2/{name}/{noun}/{last}") == expected


@given(names, lasts.filter(lambda last: last != "uploads"))
def test_a_blob(name: str, last: str) -> None:
    expected = ("/v2/{name}/blobs/{digest}", {"name": name, "digest": last})
    assert match(f"/v2/{name}/blobs/{last}") == expected


@given(names, lasts)
def test_a_session(name: str, last: str) -> None:
    found = match(f"/v2/{name}/blobs/uploads/{last}")
    assert found == ("/v2/{name}/blobs/uploads/{upload}", {"name": name, "upload": last})


@given(names)
def test_sessions_and_tags(name: str) -> None:
    for end in ("", "/"):
        found = match(f"/v2/{name}/blobs/uploads{end}")
        assert found == ("/v2/{name}/blobs/uploads/", {"name": name})
    assert match(f"/v2/{name}/tags/list") == ("/v2/{name}/tags/list", {"name": name})


@given(st.lists(st.sampled_from([*WORDS, "", ".."]), max_size=6).map("/".join))
def test_any_path_has_a_template_whose_parts_give_it_back_or_none(tail: str) -> None:
    path = f"/v2/{tail}"
    found = match(path)
    if found is None:
        return
    template, parts = found
    assert template.format(**parts) in {path, f"{path}/"}
    assert "name" not in parts or parts["name"]


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_the_root_with_and_without_slash(path: str) -> None:
    assert match(path) == ("/v2/", {})


@pytest.mark.parametrize(
    "path", ["", "//", "v2/", "/v2/a", "/V3/a/tags/list", "/v2/manifests/a", "/v2/a/tags/LIST"]
)
def test_paths_that_are_none(path: str) -> None:
    assert match(path) is None
