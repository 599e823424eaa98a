"""Manifests: what is taken, what is refused (CVE-2021-41190 and its kin), what is read."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.oci import media_types
from kho.oci.digest import Digest
from kho.oci.errors import ManifestInvalid
from kho.oci.manifest import REFERENCES, parse_manifest
from tests.oci.samples import CONFIG_TYPE, LAYER_TYPE, Json, descriptor, encode, image, index

IMAGE, INDEX = media_types.OCI_MANIFEST, media_types.OCI_INDEX


def without(value: Json, *keys: str) -> Json:
    return {key: item for key, item in value.items() if key not in keys}


def refused(value: Json, content_type: str | None = None, match: str = "manifest refused") -> None:
    with pytest.raises(ManifestInvalid, match=match):
        parse_manifest(encode(value), content_type)


def test_an_image_is_read() -> None:
    subject = descriptor(b"subject", IMAGE)
    value = image(b"{}", b"one", b"two", subject=subject, annotations={"a": "b"})
    manifest = parse_manifest(encode(value), IMAGE)
    assert [(item.kind, item.size) for item in manifest.references] == [
        ("config", 2),
        ("layer", 3),
        ("layer", 3),
    ]
    assert manifest.references[1].digest == Digest.of(b"one")
    assert (manifest.media_type, manifest.is_index) == (IMAGE, False)
    assert manifest.subject == Digest.of(b"subject")
    assert manifest.annotations == {"a": "b"}


def test_an_index_is_read() -> None:
    manifest = parse_manifest(encode(index(b"one", b"two")), INDEX)
    assert [item.kind for item in manifest.references] == ["manifest", "manifest"]
    assert manifest.is_index
    assert manifest.subject is None
    assert manifest.annotations == {}


@pytest.mark.parametrize("value", [image(), index()], ids=["layers", "manifests"])
def test_lists_may_be_empty(value: Json) -> None:
    assert parse_manifest(encode(value), None)


@pytest.mark.parametrize(
    "value, more",
    [
        (image(), {"x-unknown": {"deep": [1, 2.5, None]}}),
        (image(), {"artifactType": "application/x.unheard-of"}),
        (image(), {"config": descriptor(b"{}", "text/unheard-of", data="e30=")}),
        (
            image(),
            {"layers": [descriptor(b"x", "text/odd", urls=["http://e"], platform={"os": "x"})]},
        ),
        (index(), {"Layer": 1}),
        (index(), {"manifests": [descriptor(b"x", "application/unheard-of")]}),
        (index(), {"annotations": None, "subject": None, "artifactType": None}),
    ],
)
def test_what_the_registry_does_not_know_is_taken(value: Json, more: Json) -> None:
    assert parse_manifest(encode(value | more), None)


@pytest.mark.parametrize("media_type", sorted(media_types.MANIFESTS))
@pytest.mark.parametrize("header", ["same", "parameters", "json", "octets", "empty", "none"])
def test_the_media_type_may_stand_in_body_or_header(media_type: str, header: str) -> None:
    value = index() if media_type in media_types.INDEXES else image()
    content_type = {
        "same": media_type,
        "parameters": f"{media_type.upper()}; charset=utf-8",
        "json": "application/json",
        "octets": "application/octet-stream",
        "empty": "",
        "none": None,
    }[header]
    assert (
        parse_manifest(encode(value | {"mediaType": media_type}), content_type).media_type
        == media_type
    )
    if header in {"same", "parameters"}:
        bare = without(value, "mediaType")
        assert parse_manifest(encode(bare), content_type).media_type == media_type


def test_without_any_media_type_the_fields_tell() -> None:
    assert parse_manifest(encode(without(image(), "mediaType")), None).media_type == IMAGE
    assert parse_manifest(encode(without(index(), "mediaType")), None).media_type == INDEX
    refused({"schemaVersion": 2}, match="neither")
    refused(without(image(), "mediaType", "layers"), match="neither")


@pytest.mark.parametrize(
    "value, content_type",
    [
        (image(), INDEX),
        (image(), media_types.DOCKER_MANIFEST),
        (index(), IMAGE),
        (image(mediaType=INDEX), INDEX),
        (image(mediaType=INDEX), None),
        (image(mediaType=IMAGE.upper()), IMAGE),
        (image(mediaType=IMAGE + ";a=b"), IMAGE),
        (image(mediaType=""), IMAGE),
        (image(mediaType=None, layers=None), IMAGE),
        (image(mediaType=7), None),
        (image(mediaType=["a"]), IMAGE),
        (image(), "text/html"),
        (image(), f"{IMAGE},{INDEX}"),
        (image(mediaType="text/html"), "text/html"),
        (image(mediaType="application/json"), "application/json"),
    ],
)
def test_M1_header_and_body_must_agree(value: Json, content_type: str | None) -> None:
    refused(value, content_type)


BOTH: list[Json] = [
    image(manifests=[]),
    image(manifests=None),
    image(fsLayers=[]),
    index(config=descriptor(b"{}")),
    index(layers=[]),
    index(fsLayers=None),
]


@pytest.mark.parametrize("value", BOTH)
@pytest.mark.parametrize("typed", [True, False])
def test_M1_two_shapes_in_one_body(value: Json, typed: bool) -> None:
    refused(value if typed else without(value, "mediaType"), match="has no place")


@pytest.mark.parametrize("version", [1, 3, 0, -2, "2", 2.0, None, True, [2], {}])
def test_M1_schema_version_is_the_number_2(version: object) -> None:
    refused(image(schemaVersion=version))
    refused(without(image(), "schemaVersion"))


@pytest.mark.parametrize("media_type", sorted(media_types.SCHEMA_1))
def test_docker_schema_1_is_refused_by_name(media_type: str) -> None:
    body = {"schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": [], "history": []}
    for content_type in (media_type, None, "application/json"):
        refused(body, content_type, match="schema 1 is not supported")


KNOWN = ["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "annotations"]


@pytest.mark.parametrize("key", [*KNOWN, "fsLayers", "artifactType"])
@pytest.mark.parametrize("change", [str.upper, str.capitalize, str.swapcase])
def test_M2_known_keys_in_another_case(key: str, change: Any) -> None:
    for value in (image(), index()):
        refused(value | {change(key): value.get(key, 1)}, match="must be written")


@pytest.mark.parametrize("key", ["Digest", "SIZE", "mediatype", "Urls", "platForm", "\u017fize"])
@pytest.mark.parametrize("where", ["config", "layers", "subject", "manifests"])
def test_M2_descriptor_keys_in_another_case(key: str, where: str) -> None:
    strange = descriptor(b"x") | {key: 1}
    value = index() if where == "manifests" else image()
    refused(value | {where: [strange] if where in {"layers", "manifests"} else strange})


def test_M2_duplicate_keys() -> None:
    twice = encode(image())[:-1] + b',"layers":[]}'
    with pytest.raises(ManifestInvalid, match="stands twice"):
        parse_manifest(twice, IMAGE)
    inner = encode(image()).replace(b'"size": 2', b'"size": 2, "size": 3')
    with pytest.raises(ManifestInvalid, match="stands twice"):
        parse_manifest(inner, IMAGE)


@pytest.mark.parametrize(
    "value",
    [
        without(image(), "config"),
        without(image(), "layers"),
        without(index(), "manifests"),
        image(layers={}),
        image(layers="x"),
        image(layers=[None]),
        image(layers=["sha256:" + "a" * 64]),
        image(config=[]),
        image(config=None),
        index(manifests=None),
        index(manifests=[[]]),
        image(subject="x"),
        image(subject={}),
        image(subject=[]),
        image(annotations=[]),
        image(annotations={"a": 1}),
        image(annotations={"a": None}),
        image(artifactType=7),
        image(artifactType="text/é"),
        image(artifactType="text/a\r\nb"),
        index(artifactType="text/" + "x" * 251),
    ],
)
def test_fields_of_the_wrong_kind(value: Json) -> None:
    refused(value, match="manifest refused")


@pytest.mark.parametrize(
    "more",
    [
        {"mediaType": None},
        {"mediaType": ""},
        {"mediaType": 1},
        {"mediaType": "text/é"},
        {"mediaType": "text/\0"},
        {"mediaType": "text/" + "x" * 251},
        {"digest": None},
        {"digest": 1},
        {"digest": "sha256:abc"},
        {"digest": f"sha256:{'A' * 64}"},
        {"digest": f"md5:{'a' * 32}"},
        {"digest": "sha256:../../../etc/passwd"},
        {"size": None},
        {"size": -1},
        {"size": "2"},
        {"size": 2.0},
        {"size": True},
    ],
)
@pytest.mark.parametrize("where", ["config", "layers", "subject", "manifests"])
def test_descriptors_that_do_not_describe(more: Json, where: str) -> None:
    strange = descriptor(b"x", **more)
    value = index() if where == "manifests" else image()
    refused(value | {where: [strange] if where in {"layers", "manifests"} else strange})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b'{"schemaVersion": NaN}',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"size": ' + b"9" * 100_000 + b"}",
        encode(image()) + b"x",
    ],
)
def test_C7_json_that_is_none(content: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(content, IMAGE)


@given(st.binary(max_size=80), st.one_of(st.none(), st.text(max_size=20)))
def test_C7_any_bytes_are_a_manifest_or_refused(content: bytes, content_type: str | None) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(content, content_type)


@given(st.data())
def test_C7_any_field_of_any_value_is_taken_or_refused(data: st.DataObject) -> None:
    value = data.draw(
        st.sampled_from([image(b"{}", b"a"), index(b"a"), image(subject=descriptor(b"s"))])
    )
    key = data.draw(st.sampled_from([*KNOWN, "artifactType", "fsLayers", "x"]))
    odd = st.one_of(
        st.none(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({})
    )
    try:
        manifest = parse_manifest(encode(value | {key: data.draw(odd)}), None)
    except ManifestInvalid:
        return
    assert manifest.media_type in media_types.MANIFESTS


def test_the_number_of_references_is_bounded() -> None:
    layers = [descriptor(b"x")] * REFERENCES
    refused(image(layers=layers), match="references")
    assert len(parse_manifest(encode(image(layers=layers[1:])), None).references) == REFERENCES


@pytest.mark.parametrize(
    "media_type, required",
    [
        (LAYER_TYPE, True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", False),
        (media_types.DOCKER_FOREIGN_LAYER, False),
    ],
)
def test_foreign_layers_need_not_be_here(media_type: str, required: bool) -> None:
    manifest = parse_manifest(encode(image(layers=[descriptor(b"x", media_type)])), None)
    assert [item.required for item in manifest.references] == [True, required]


@pytest.mark.parametrize(
    "value, artifact_type",
    [
        (image(), CONFIG_TYPE),
        (image(artifactType="text/a"), "text/a"),
        (image(artifactType=""), CONFIG_TYPE),
        (index(), None),
        (index(artifactType="text/a"), "text/a"),
    ],
)
def test_the_artifact_type_that_referrers_list(value: Json, artifact_type: str | None) -> None:
    assert parse_manifest(encode(value), None).artifact_type == artifact_type


def test_the_subject_need_not_be_of_a_known_type_but_must_be_a_descriptor() -> None:
    value = index(subject=descriptor(b"s", "text/anything"))
    assert parse_manifest(encode(value), None).subject == Digest.of(b"s")
    refused(index(subject={"digest": str(Digest.of(b"s"))}))


@pytest.mark.parametrize("reason", ["\x1b[31m", "\u202e", "\r\n"])
def test_M7_the_reason_quotes_hostile_text_escaped(reason: str) -> None:
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(encode(image(mediaType=reason * 1000)), None)
    assert reason not in caught.value.message
    assert len(caught.value.message) < 1500
