"""Manifests and the guard before them, beside Python's own reader of JSON."""

import json
import math

from kho.oci import media_types
from kho.oci.errors import ManifestInvalid
from kho.oci.manifest import parse_manifest
from kho.oci.strict_json import DEPTH, JsonRefused, parse_object
from tests.fuzz import texts


def check(data: bytes) -> None:
    check_guard(data)
    kind, content = texts.split(data, 2)
    check_manifest(data, None)
    check_manifest(content, texts.header(kind))
    for one in media_types.MANIFESTS:
        check_manifest(data, one)


def check_guard(data: bytes) -> None:
    """Taken is what the other reader takes too, with the same value, and only that."""
    try:
        value = parse_object(data)
    except JsonRefused as error:
        assert "\n" not in str(error)
        assert str(error).isascii()
        return
    assert value == json.loads(data)
    check_bounds(value, 0)


def check_bounds(value: object, depth: int) -> None:
    assert depth <= DEPTH
    if isinstance(value, dict):
        for key, inner in value.items():
            key.encode()
            check_bounds(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            check_bounds(inner, depth + 1)
    elif isinstance(value, str):
        value.encode()
    elif isinstance(value, float):
        assert not math.isnan(value)
    elif value is not None:
        assert isinstance(value, int)
        assert abs(value) < 10**19


def check_manifest(data: bytes, content_type: str | None) -> None:
    try:
        found = parse_manifest(data, content_type)
    except ManifestInvalid as error:
        assert error.body().isascii()
        return
    value = json.loads(data)
    assert found.media_type in media_types.MANIFESTS
    assert value["schemaVersion"] == 2
    assert value.get("mediaType") in (None, found.media_type)
    assert ("manifests" in value) == found.is_index
    listed = value["manifests"] if found.is_index else [value["config"], *value["layers"]]
    assert [str(one.digest) for one in found.references] == [one["digest"] for one in listed]
    assert [one.size for one in found.references] == [one["size"] for one in listed]
    assert [one.media_type for one in found.references] == [one["mediaType"] for one in listed]
    subject = value.get("subject")
    assert str(found.subject) == ("None" if subject is None else subject["digest"])
    for text in (found.media_type, found.artifact_type or "", *(listed_types(listed))):
        text.encode("ascii")
    # The bytes are read again when they are served: nothing may hang on how they are spaced.
    again = parse_manifest(json.dumps(value, allow_nan=True).encode(), found.media_type)
    assert again == found


def listed_types(listed: list[dict[str, str]]) -> list[str]:
    return [one["mediaType"] for one in listed]
