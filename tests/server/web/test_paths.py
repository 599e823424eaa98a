"""Paths of the index: names with slashes, tags, digests, and what no page may hide."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.server.web.paths import RESERVED, Paths, page_of
from kho.server.web.routes import match

TEMPLATES = [
    "/",
    "/-/account",
    "/{name}",
    "/{name}/-/tags",
    "/{name}:{tag}",
    "/{name}@{digest}",
    "/{name}@{digest}/-/file",
    "/api/v1/repositories/{name}",
    "/api/v1/repositories/{name}/-/tags/{tag}",
    "/api/v1/users/{user}",
]
PATHS = Paths(TEMPLATES)
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    "path, template, parts",
    [
        ("/", "/", {}),
        ("/a", "/{name}", {"name": "a"}),
        ("/a/b/c", "/{name}", {"name": "a/b/c"}),
        ("/a/b:1.0_x-y", "/{name}:{tag}", {"name": "a/b", "tag": "1.0_x-y"}),
        (f"/a/b@{DIGEST}", "/{name}@{digest}", {"name": "a/b", "digest": DIGEST}),
        (f"/a@{DIGEST}/-/file", "/{name}@{digest}/-/file", {"name": "a", "digest": DIGEST}),
        ("/a/tags/-/tags", "/{name}/-/tags", {"name": "a/tags"}),
        ("/-/r/v2/app", "/{name}", {"name": "v2/app"}),
        ("/-/r/v2/app/-/tags", "/{name}/-/tags", {"name": "v2/app"}),
        ("/-/r/v2/app:1", "/{name}:{tag}", {"name": "v2/app", "tag": "1"}),
        ("/api/v1/repositories/a/b", "/api/v1/repositories/{name}", {"name": "a/b"}),
        (
            "/api/v1/repositories/a/b/-/tags/x",
            "/api/v1/repositories/{name}/-/tags/{tag}",
            {"name": "a/b", "tag": "x"},
        ),
        ("/api/v1/users/a@b.example", "/api/v1/users/{user}", {"user": "a@b.example"}),
    ],
)
def test_what_a_path_means(path: str, template: str, parts: dict[str, str]) -> None:
    assert PATHS.match(path) == (template, parts)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "//",
        "/A",
        "/a/",
        "//a",
        "/a//b",
        "/a/../b",
        "/a/-/b/-/tags",
        "/a\n",
        "/a:",
        "/a:.x",
        "/a@b",
        "/-/nothing",
        "/-/r/",
        "/-/r/-/account",
        "/v2/x",
        "/api/v1/users/a/b",
        "/token/x",
        "/é",
    ],
)
def test_what_no_page_is_for(path: str) -> None:
    assert PATHS.match(path) is None


@pytest.mark.parametrize("name", [*sorted(RESERVED - {"-", ".well-known"}), "a", "a/b"])
def test_every_repository_has_a_page(name: str) -> None:
    for one in (name, f"{name}/app"):
        if one != "favicon.ico/app":
            assert PATHS.match(page_of(one)) == ("/{name}", {"name": one})


@given(st.text(alphabet="ab-_./:@0A\n%", max_size=30))
def test_no_path_takes_long_or_is_two_things(text: str) -> None:
    found = PATHS.match("/" + text)
    if found and "name" in found[1]:
        assert "//" not in found[1]["name"]
        assert not found[1]["name"].startswith("-")


def test_a_long_path_ends() -> None:
    assert PATHS.match("/" + "a-" * 50_000) is None
    assert PATHS.match("/" + "a" * 100_000 + "/-/nothing") is None
    digest = f"sha512:{'0' * 128}"
    name = "/".join(["a" * 63] * 4)
    assert PATHS.match(f"/{name}@{digest}/-/file") is not None
    assert PATHS.match("/a" * 1000) is None


def test_the_protocol_comes_first() -> None:
    found = match("/v2/a/manifests/b")
    assert found is not None
    assert found[0] == "/v2/{name}/manifests/{reference}"
