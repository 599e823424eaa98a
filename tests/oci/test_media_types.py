"""Questions about media types."""

import pytest

from kho.oci import media_types


@pytest.mark.parametrize(
    "header, expected",
    [
        ("application/json", "application/json"),
        ("Application/JSON; charset=utf-8", "application/json"),
        (" application/json ;q=1", "application/json"),
        ("", ""),
        (";", ""),
    ],
)
def test_parameters_and_case_do_not_count(header: str, expected: str) -> None:
    assert media_types.without_parameters(header) == expected


@pytest.mark.parametrize(
    "media_type, distributable",
    [
        ("application/vnd.oci.image.layer.v1.tar+gzip", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar", False),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", False),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", False),
        (media_types.DOCKER_FOREIGN_LAYER, False),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", True),
        ("anything/else", True),
    ],
)
def test_which_layers_the_registry_must_hold(media_type: str, distributable: bool) -> None:
    assert media_types.is_distributable(media_type) is distributable


@pytest.mark.parametrize(
    "media_type, tar",
    [
        ("application/vnd.oci.image.layer.v1.tar", True),
        ("application/vnd.oci.image.layer.v1.tar+gzip", True),
        ("application/vnd.oci.image.layer.v1.tar+zstd", True),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", True),
        ("application/vnd.cncf.helm.chart.content.v1.tar+gzip", True),
        (media_types.DOCKER_FOREIGN_LAYER, False),
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", False),
        ("application/vnd.in-toto+json", False),
        (media_types.OCTET_STREAM, False),
    ],
)
def test_which_layers_have_files_to_list(media_type: str, tar: bool) -> None:
    assert media_types.is_tar_layer(media_type) is tar


def test_images_and_indexes_are_apart() -> None:
    assert not media_types.IMAGES & media_types.INDEXES
    assert not media_types.MANIFESTS & media_types.SCHEMA_1
    assert all(name == media_types.without_parameters(name) for name in media_types.MANIFESTS)
