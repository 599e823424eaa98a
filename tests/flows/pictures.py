"""Images with real layers, pushed and with their files listed, for what pages show of them."""

import gzip
import io
import tarfile

from kho.oci.digest import Digest
from tests.flows.people import resources_of
from tests.flows.registry import Registry
from tests.oci.samples import encode, image
from tests.server.index.layered import settled

Member = tuple[str, bytes | tuple[str, str]]
Layer = bytes
_TYPES = {"link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE}


def layer(*members: Member) -> Layer:
    """A gzipped tar: `name/` is a folder, ("link", target) a symbolic link, "hard" a hard one."""
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name.rstrip("/"))
            info.mode = 0o755 if name.endswith("/") else 0o644
            info.mtime = 1_700_000_000
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            elif isinstance(content, tuple):
                info.type, info.linkname = _TYPES[content[0]], content[1]
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return gzip.compress(found.getvalue(), 1, mtime=0)


def config(*history: str, env: tuple[str, ...] = (), architecture: str = "amd64") -> bytes:
    """A config whose history has a layer for each line, but for those that begin with -."""
    lines = [
        {"created_by": one.removeprefix("-"), "empty_layer": one.startswith("-")} for one in history
    ]
    run = {"Env": ["PATH=/bin", *env], "Cmd": ["serve"], "Labels": {"team": "web"}}
    return encode({"os": "linux", "architecture": architecture, "config": run, "history": lines})


async def push(
    registry: Registry,
    name: str,
    tag: str | None,
    *layers: Layer,
    settings: bytes | None = None,
    wait: bool = True,
) -> Digest:
    """Push an image, and wait until its layers are listed."""
    content = config(*("RUN make" for _ in layers)) if settings is None else settings
    for blob in {content, *layers}:
        await registry.push_blob(name, blob)
    value = encode(image(content, *layers))
    digest = await registry.push_manifest(name, tag or Digest.of(value), value)
    if wait:
        digests = [Digest.of(one) for one in layers]
        await settled(resources_of(registry), digests, repository=name)
    return digest
