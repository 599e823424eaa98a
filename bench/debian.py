"""A real image: Debian by debootstrap, in ten layers, alone and in an index of two platforms.

The tests with real clients push and pull it, too. Kept in .cache/interop/<recipe>/ between runs:

    debian/           OCI layout, tag `debian`: the amd64 image
    multi/            OCI layout, tag `multi`: the index of that image and its arm64 twin
    debian.tar        the first layout as an archive
    multi.tar         the second one
    docker.tar        the image as `docker save` writes it
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.programs import ROOT

MARKER = "/etc/kho-marker"
MARKER_TEXT = "this image went through kho"
# Programs that make it; debootstrap wants root.
NEEDS = ("debootstrap", "umoci", "skopeo")
_RECIPE = "bookworm-3"
_PACKAGES = "git,python3-minimal,libpython3-stdlib,openssl"
_OWN_LAYER = (
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/zoneinfo",
    "usr/share/perl",
    "usr/lib/python3.11",
    "usr/lib/git-core",
    "usr/lib/x86_64-linux-gnu",
    "usr/bin",
)
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True, slots=True)
class DebianImage:
    """The image on disk, in the forms that clients read."""

    folder: Path
    digest: str
    index_digest: str
    layers: tuple[str, ...]

    @property
    def layout(self) -> str:
        """The image as `PATH:TAG` of an OCI layout."""
        return f"{self.folder}/debian:debian"

    @property
    def multi_layout(self) -> str:
        """The index as `PATH:TAG` of an OCI layout."""
        return f"{self.folder}/multi:multi"


def debian_image() -> DebianImage:
    """Build the image, or find it as an earlier run left it."""
    cache = ROOT / ".cache" / "interop"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / _RECIPE
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _build(folder)
    digest = _entry(folder / "debian")["digest"]
    layers = json.loads(_blob(folder / "debian", digest).read_bytes())["layers"]
    return DebianImage(
        folder,
        digest,
        _entry(folder / "multi")["digest"],
        tuple(layer["digest"] for layer in layers),
    )


def _build(folder: Path) -> None:
    work = folder.with_name(folder.name + ".partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    _bootstrap(work / "root")
    _layered(work / "root", work / "debian")
    shutil.copytree(work / "debian", work / "multi", copy_function=os.link)
    _two_platforms(work / "multi")
    for name in ("debian", "multi"):
        _run("tar", "-C", work / name, "-cf", work / f"{name}.tar", ".")
    archive = f"docker-archive:{work}/docker.tar:kho.invalid/debian:1"
    _run("skopeo", "copy", "--insecure-policy", f"oci:{work}/debian:debian", archive)
    shutil.rmtree(work / "root")
    work.rename(folder)


def _bootstrap(root: Path) -> None:
    command = (
        "debootstrap",
        "--variant=minbase",
        f"--include={_PACKAGES}",
        "bookworm",
        root,
        _mirror(),
    )
    _run(*command)
    for downloaded in ("var/cache/apt", "var/lib/apt/lists", "dev"):
        shutil.rmtree(root / downloaded)
        (root / downloaded).mkdir()


def _mirror() -> str:
    """The mirror of Debian's main archive that this machine's apt is set up with."""
    for path in sorted(Path("/etc/apt").glob("sources.list.d/*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            fields = dict(re.findall(r"^(\w[\w-]*):[ \t]*(.+)$", stanza, re.MULTILINE))
            if "main" in fields.get("Components", "").split() and "security" not in fields.get(
                "Suites", ""
            ):
                return str(fields["URIs"].split()[0])
    for path in (
        Path("/etc/apt/sources.list"),
        *sorted(Path("/etc/apt").glob("sources.list.d/*.list")),
    ):
        lines = path.read_text() if path.exists() else ""
        if found := re.search(
            r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(?!\S*security)\S+\s.*\bmain\b", lines, re.MULTILINE
        ):
            return found[1]
    raise AssertionError("no Debian mirror in /etc/apt/sources.list*")


def _layered(root: Path, layout: Path) -> None:
    umoci = "umoci"
    image = f"{layout}:debian"
    _run(umoci, "init", "--layout", layout)
    _run(umoci, "new", "--image", image)
    parts = root.with_name("parts")
    for place in _OWN_LAYER:
        part = parts / place.replace("/", "-")
        part.parent.mkdir(exist_ok=True)
        (root / place).rename(part)
    _run(umoci, "insert", "--image", image, root, "/")
    for place in _OWN_LAYER:
        _run(umoci, "insert", "--image", image, parts / place.replace("/", "-"), f"/{place}")
    marker = parts / "marker"
    marker.write_text(MARKER_TEXT + "\n")
    _run(umoci, "insert", "--image", image, marker, MARKER)
    _run(
        umoci,
        "config",
        "--image",
        image,
        "--config.cmd",
        "/bin/sh",
        "--config.env",
        "PATH=/usr/sbin:/usr/bin",
    )
    _run(umoci, "gc", "--layout", layout)
    shutil.rmtree(parts)


def _two_platforms(layout: Path) -> None:
    """Add an arm64 twin that shares every layer, and put both under one index."""
    amd64 = _entry(layout)
    manifest = json.loads(_blob(layout, amd64["digest"]).read_bytes())
    config = json.loads(_blob(layout, manifest["config"]["digest"]).read_bytes())
    twin_config = _stored(layout, config | {"architecture": "arm64", "variant": "v8"})
    twin = _stored(layout, manifest | {"config": manifest["config"] | twin_config})
    amd64 = {name: amd64[name] for name in ("digest", "size")}
    children = [
        _child(amd64, {"architecture": "amd64", "os": "linux"}),
        _child(twin, {"architecture": "arm64", "os": "linux", "variant": "v8"}),
    ]
    index = _stored(layout, {"schemaVersion": 2, "mediaType": _INDEX, "manifests": children})
    tag = {"org.opencontainers.image.ref.name": "multi"}
    entry = {"mediaType": _INDEX, **index, "annotations": tag}
    (layout / "index.json").unlink()  # it is a link to the other layout's
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def _child(stored: dict[str, Any], platform: dict[str, str]) -> dict[str, Any]:
    return {"mediaType": _MANIFEST, **stored, "platform": platform}


def _entry(layout: Path) -> dict[str, Any]:
    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    return dict(entry)


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def _stored(layout: Path, document: dict[str, Any]) -> dict[str, Any]:
    """Write a JSON blob into the layout; returns digest and size, as a descriptor names them."""
    raw = json.dumps(document).encode()
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()
    _blob(layout, digest).write_bytes(raw)
    return {"digest": digest, "size": len(raw)}


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=500, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {(done.stdout + done.stderr).strip()[-1500:]}")
