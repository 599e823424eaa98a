"""A real image, pushed to khod by a client: the files in its layers are listed and can be read."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

from kho.oci.digest import Digest, parse_digest
from kho.server.index.files.browse import directory
from kho.server.index.files.find import content_of
from kho.server.index.files.stack import Stack, State, stack_of
from kho.server.registry import members
from kho.server.resources import Resources, open_resources
from kho.server.settings import Config

from .images import MARKER, MARKER_TEXT, DebianImage
from .servers import Server, serving

KHO = Path(sys.executable).with_name("kho")
REPOSITORY = "debian"
SECONDS = 60.0


async def test_files_of_debian(debian: DebianImage, tmp_path: Path) -> None:
    with serving(tmp_path, kind="khod") as server:
        await asyncio.to_thread(push, debian, server)
        async with open_resources(Config(data=server.data)) as resources:
            stack = await listed(resources, debian)
            assert [one.state for one in stack.layers] == [State.DONE] * len(stack.layers)
            assert sum(one.files for one in stack.layers) > 10_000
            names = await etc(resources, stack)
            assert {b"debian_version", b"passwd", b"apt", MARKER[5:].encode()} <= names
            version = await read(resources, stack, b"etc/debian_version")
            assert version.startswith(b"12.")
            assert await read(resources, stack, MARKER.encode()) == MARKER_TEXT.encode() + b"\n"
            # In this image /lib is a link to usr/lib.
            assert b"ID=debian\n" in await read(resources, stack, b"lib/os-release")


def push(debian: DebianImage, server: Server) -> None:
    target = f"{server.host}/{REPOSITORY}:1"
    subprocess.run([KHO, "copy", f"oci:{debian.layout}", target], check=True, timeout=SECONDS)


def layers_of(debian: DebianImage) -> list[Digest]:
    path = debian.folder / "debian/blobs" / debian.digest.replace(":", "/")
    return [parse_digest(one["digest"]) for one in json.loads(path.read_bytes())["layers"]]


async def listed(resources: Resources, debian: DebianImage) -> Stack:
    """Once the workers have come to an end with all layers."""
    until = time.monotonic() + SECONDS
    while True:
        stack = await stack_of(resources, REPOSITORY, layers_of(debian))
        if all(one.state in {State.DONE, State.REFUSED} for one in stack.layers):
            return stack
        assert time.monotonic() < until, [one.state for one in stack.layers]
        await asyncio.sleep(0.2)


async def etc(resources: Resources, stack: Stack) -> set[bytes]:
    page = await directory(resources, stack, b"etc", limit=1000)
    assert page.next is None
    return {one.entry.name for one in page.items}


async def read(resources: Resources, stack: Stack, path: bytes) -> bytes:
    found = await content_of(resources, stack, path)
    taken = await members.text(resources, REPOSITORY, found.digest, found.entry.number)
    assert taken is not None
    content, size = taken
    assert len(content) == size == found.entry.size
    assert members.is_text(content)
    assert Digest.of(content).hex == found.entry.sha256.hex()
    return content
