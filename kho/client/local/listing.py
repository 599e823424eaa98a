"""The images of the local store as lists show them: when made, how large, for which platforms."""

import fnmatch
from dataclasses import dataclass, field

from kho.client.errors import ClientError
from kho.client.images.image import ImageConfig, read_blob
from kho.client.local.store import LocalStore, Named
from kho.oci import media_types
from kho.oci.digest import Digest
from kho.oci.errors import RegistryError
from kho.oci.manifest import Descriptor, parse_manifest
from kho.oci.reference import HUB, Reference, ReferenceInvalid
from kho.remote.errors import RemoteError
from kho.remote.manifests import Manifest


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list; `size` is bytes as they are stored, each content counted once."""

    named: Named
    repository: str | None
    tag: str | None
    created: str
    size: int
    platforms: tuple[str, ...]
    # Why it cannot be told, where content is missing or damaged.
    problem: str | None


async def listed(store: LocalStore, pattern: str | None = None) -> list[Listed]:
    """Every image that has a name, or is nobody's signature; `pattern` is a glob of names."""
    found = []
    for one in store.images():
        if pattern is None or matches(one.name, pattern):
            line = await _line(store, one)
            if line is not None:
                found.append(line)
    return sorted(found, key=lambda line: (line.named.name is None, line.named.name or ""))


def matches(name: str | None, pattern: str) -> bool:
    """Whether a glob fits a name: `debian`, `*/app:1*`, `ghcr.io/team/*`.

    It is held against the repository and the whole, with and without what is left out of names
    of Docker Hub.
    """
    if name is None:
        return False
    forms = {name}
    with_tag, at, _ = name.partition("@")
    repository, _, last = with_tag.rpartition(":")
    forms |= {with_tag} if at else set()
    if repository and "/" not in last:
        forms.add(repository)
    for hub in (f"{HUB}/library/", f"{HUB}/"):
        forms |= {form.removeprefix(hub) for form in forms}
    return any(fnmatch.fnmatchcase(form, pattern) for form in forms)


@dataclass
class _Sum:
    """What is added up over the images of an entry."""

    sizes: dict[Digest, int] = field(default_factory=dict)
    created: str = ""
    platforms: list[str] = field(default_factory=list)
    problem: str | None = None


async def _line(store: LocalStore, one: Named) -> Listed | None:
    total = _Sum()
    try:
        manifest = await store.manifest(str(one.digest))
        if one.name is None and parse_manifest(manifest.content, None).subject is not None:
            return None
        await _add(store, manifest, total)
    except RegistryError as error:
        total.problem = error.message
    except (ClientError, RemoteError) as error:
        total.problem = str(error)
    repository, tag = _parts(one.name)
    return Listed(
        one,
        repository,
        tag,
        total.created,
        sum(total.sizes.values()),
        tuple(dict.fromkeys(total.platforms)),
        total.problem,
    )


async def _add(store: LocalStore, manifest: Manifest, total: _Sum, depth: int = 5) -> None:
    parsed = parse_manifest(manifest.content, manifest.media_type)
    if parsed.is_index:
        for child in parsed.references if depth else ():
            found = store.stored(child.digest)
            if found is not None:
                await _add(store, found, total, depth - 1)
        return
    config, *layers = parsed.references
    for content in (config, *layers):
        if store.holds(content):
            total.sizes[content.digest] = content.size
        elif content.required:
            total.problem = total.problem or f"{store.name} has no {content.digest}"
    created = parsed.annotations.get("org.opencontainers.image.created", "")
    if config.media_type in media_types.IMAGE_CONFIGS:
        created = await _add_config(store, config, total) or created
    total.created = max(total.created, created)


async def _add_config(store: LocalStore, content: Descriptor, total: _Sum) -> str:
    config = ImageConfig.parse(await read_blob(store, content))
    if config.platform.os not in ("", "unknown"):  # of attestations
        total.platforms.append(str(config.platform))
    return config.created


def _parts(name: str | None) -> tuple[str | None, str | None]:
    """Repository and tag; a name that is no reference is shown as it is."""
    if name is None:
        return None, None
    try:
        ref = Reference.parse_bare(name)
    except ReferenceInvalid:
        return name, None
    return ref.where, ref.tag
