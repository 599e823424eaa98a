"""Images to push for the stories of contents, and who looks at them."""

from kho.oci.digest import Digest
from kho.oci.media_types import OCI_MANIFEST
from kho.server.policy.access import ROLES, Grant, Principal
from tests.flows.registry import Registry
from tests.oci.samples import descriptor, encode, index
from tests.oci.samples import image as manifest_of

SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"


def config(*env: str, **more: object) -> bytes:
    run = {"Env": list(env), "Cmd": ["serve"], "Labels": {"team": "web"}}
    history = [
        {"created_by": "/bin/sh -c #(nop) ADD file:1 in / ", "created": "2026-01-01T00:00:00Z"},
        {"created_by": '/bin/sh -c #(nop)  CMD ["sh"]', "empty_layer": True},
        {"created_by": "RUN |1 TOKEN=hunter22 /bin/sh -c make TOKEN=hunter22 # buildkit"},
    ]
    base = {"os": "linux", "architecture": "amd64", "config": run, "history": history}
    return encode(base | more)


async def push(
    registry: Registry, name: str, tag: object, content: bytes, *layers: bytes, **more: object
) -> bytes:
    """Push an image; its manifest."""
    for blob in (content, *layers):
        await registry.push_blob(name, blob)
    value = encode(manifest_of(content, *layers, **more))
    await registry.push_manifest(name, Digest.of(value) if tag is None else tag, value)
    return value


def reader(*patterns: str, role: str = "reader") -> Principal:
    return Principal(
        "user:a", tuple(Grant("user:a", role, pattern, ROLES[role]) for pattern in patterns)
    )


async def listing(registry: Registry, *names: str, missing: bool = False) -> dict[str, bytes]:
    """Push an index `all` of images of these platforms."""
    found = {}
    for name in names:
        system, _, architecture = name.partition("/")
        content = config(os=system, architecture=architecture)
        found[name] = await push(registry, "a", None, content, name.encode())
    children = []
    for name, child in found.items():
        system, _, architecture = name.partition("/")
        platform = {"os": system, "architecture": architecture}
        children.append(descriptor(child, OCI_MANIFEST, platform=platform))
    await registry.push_manifest("a", "all", index() | {"manifests": children})
    if missing:
        for child in found.values():
            await registry.client.delete(f"/v2/a/manifests/{Digest.of(child)}")
    return found
