"""Archives as other tools wrote them, and as nobody should."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Members = Iterable[tuple[str, bytes | str]]


def tar(*members: tuple[str, bytes | str]) -> bytes:
    """A tar of files, and where a member is a text, of symbolic links to it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def hexes(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def config_of(*layers: bytes) -> bytes:
    """Of an image with these layers."""
    value = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hexes(one)}" for one in layers]},
    }
    return json.dumps(value).encode()


def old_docker(path: Path, *images: tuple[str, list[bytes]], **changes: Any) -> Path:
    """As docker saved before 25: folders with layer.tar, links to layers that stand elsewhere."""
    members: list[tuple[str, bytes | str]] = []
    listed = []
    places: dict[bytes, str] = {}
    for name, layers in images:
        config = config_of(*layers)
        names = []
        for number, layer in enumerate(layers):
            folder = hexes(f"{name}{number}".encode())
            there = places.setdefault(layer, folder)
            link = f"../{there}/layer.tar"
            members.append((f"{folder}/layer.tar", layer if there == folder else link))
            members.append((f"{folder}/VERSION", b"1.0"))
            names.append(f"{folder}/layer.tar")
        members.append((f"{hexes(config)}.json", config))
        listed.append({"Config": f"{hexes(config)}.json", "RepoTags": [name], "Layers": names})
    listed[0] |= changes
    members.append(("manifest.json", json.dumps(listed).encode()))
    members.append(("repositories", b"{}"))
    path.write_bytes(tar(*members))
    return path


def crane_docker(path: Path, name: str, layers: list[bytes]) -> Path:
    """As crane pulls: layers compressed, side by side with the config."""
    config = config_of(*layers)
    packed = [gzip.compress(one, mtime=0) for one in layers]
    files = [f"{hexes(one)}.tar.gz" for one in packed]
    listed = [{"Config": f"sha256:{hexes(config)}", "RepoTags": [name], "Layers": files}]
    path.write_bytes(
        tar(
            (f"sha256:{hexes(config)}", config),
            *zip(files, packed, strict=True),
            ("manifest.json", json.dumps(listed).encode()),
        )
    )
    return path
