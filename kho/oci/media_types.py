"""Media types by name, and questions about them."""

from typing import Final

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_FOREIGN_LAYER: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
OCTET_STREAM: Final = "application/octet-stream"

IMAGES: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES: Final = frozenset({OCI_INDEX, DOCKER_MANIFEST_LIST})
MANIFESTS: Final = IMAGES | INDEXES
IMAGE_CONFIGS: Final = frozenset({OCI_CONFIG, DOCKER_CONFIG})

# Named so that a client with an old image gets told what is wrong, not just "unknown".
SCHEMA_1: Final = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)


def without_parameters(content_type: str) -> str:
    """`type/subtype`, lower case, as it is compared and stored."""
    return content_type.partition(";")[0].strip().lower()


def is_distributable(media_type: str) -> bool:
    """Tell whether the registry must hold the bytes: foreign layers live elsewhere."""
    return "nondistributable" not in media_type and media_type != DOCKER_FOREIGN_LAYER


def is_tar_layer(media_type: str) -> bool:
    """Tell whether it promises a tar, perhaps compressed, whose bytes the registry has."""
    tar = media_type.endswith((".tar", ".tar+gzip", ".tar+zstd", ".tar.gzip", ".tar.zstd"))
    return tar and is_distributable(media_type)
