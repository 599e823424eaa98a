"""Images that are the same to unpack and new to every registry."""

import gzip
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from bench.layouts import LAYERS, Images, Layout


def manifest(layout: Layout) -> dict[str, Any]:
    (entry,) = json.loads((layout.folder / "index.json").read_bytes())["manifests"]
    return dict(json.loads(blob(layout, entry["digest"])))


def blob(layout: Layout, digest: str) -> bytes:
    return (layout.folder / "blobs" / digest.replace(":", "/")).read_bytes()


def layers(layout: Layout) -> list[str]:
    return [layer["digest"] for layer in manifest(layout)["layers"]]


def unpacked(layout: Layout) -> list[bytes]:
    return [gzip.decompress(blob(layout, digest)) for digest in layers(layout)]


def test_copies_share_no_blob_and_unpack_to_the_same(tmp_path: Path) -> None:
    images = Images(tmp_path, 4096)
    one, other = images.copies(0, 2)
    digests = {
        digest
        for copy in (one, other)
        for digest in (*layers(copy), manifest(copy)["config"]["digest"])
    }
    assert len(digests) == 2 * (LAYERS + 1)
    assert unpacked(one) == unpacked(other)
    assert one.size == sum(layer["size"] for layer in manifest(one)["layers"])


def test_the_config_names_what_the_layers_unpack_to(tmp_path: Path) -> None:
    (copy,) = Images(tmp_path, 100).copies(0, 1)
    config = json.loads(blob(copy, manifest(copy)["config"]["digest"]))
    assert config["rootfs"]["diff_ids"] == [
        f"sha256:{sha256(data).hexdigest()}" for data in unpacked(copy)
    ]


def test_both_servers_get_the_same_in_a_round_and_others_in_the_next(tmp_path: Path) -> None:
    images = Images(tmp_path, 100)
    first = [layers(copy) for copy in images.copies(0, 2)]
    assert [layers(copy) for copy in images.copies(0, 2)] == first
    assert layers(images.copies(1, 1)[0]) not in first
    images.close()
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
