"""What a path names is remembered, up to a length."""

import pytest

from kho.oci.errors import DigestInvalid, NameInvalid
from kho.server.web import places
from kho.server.web.places import LONGEST, REMEMBERED, methods_of, values_of
from kho.server.web.routes import TABLE

DIGEST = "sha256:" + "a" * 64


def test_the_same_path_is_read_once() -> None:
    path = f"/v2/some/name/blobs/{DIGEST}"
    assert methods_of(path) is TABLE["/v2/{name}/blobs/{digest}"]
    assert values_of(path).name == "some/name"
    assert str(values_of(path).digest) == DIGEST
    assert values_of(path) is values_of("".join(path))
    assert methods_of("/v3/") is None


def test_a_wrong_part_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(DigestInvalid):
            values_of("/v2/some/name/blobs/sha256:0")
        with pytest.raises(NameInvalid):
            values_of(f"/v2/NAME/blobs/{DIGEST}")


def test_long_paths_are_not_remembered() -> None:
    path = f"/v2/{'a/' * LONGEST}/tags/list"
    before = places._methods.cache_info().currsize
    assert methods_of(path) is TABLE["/v2/{name}/tags/list"]
    with pytest.raises(NameInvalid):
        values_of(path)
    assert places._methods.cache_info().currsize == before


def test_no_more_are_remembered_than_fit() -> None:
    for number in range(2 * REMEMBERED):
        values_of(f"/v2/a{number}/tags/list")
    assert places._values.cache_info().currsize == REMEMBERED
