"""Looks at rows: manifests, tags, and what they refer to."""

from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import DigestInvalid, RegistryError
from kho.oci.manifest import Manifest, parse_manifest
from kho.server.database import consistency
from kho.server.database.consistency import Key, ManifestFacts
from kho.server.registry.finding import Check, Finding


async def link(check: Check, key: Key) -> list[Finding]:
    """What a repository may read is a blob."""
    row = await check.resources.database.read(consistency.link, key)
    if row is None or None not in row:
        return []
    repository, blob = row
    what = "no such repository" if repository is None else "no such blob"
    del blob
    return [Finding("link.dangling", f"{repository or key[0]}@{key[1]}", what, "")]


async def manifest(check: Check, manifest_id: int) -> list[Finding]:
    """A manifest's bytes are right, and its repository holds what it needs."""
    facts = await check.resources.database.read(consistency.manifest, manifest_id)
    if facts is None:
        return []
    where = f"{facts.repository or facts.repository_id}@{facts.digest}"
    if facts.repository is None:
        return [Finding("manifest.damaged", where, "no such repository", "")]
    wrong = _wrong(facts)
    if wrong is not None:
        return [Finding("manifest.damaged", where, wrong, "")]
    try:
        parsed = parse_manifest(facts.body, facts.media_type)
    except RegistryError as error:
        return [Finding("manifest.damaged", where, error.message, "")]
    return [
        *await _recorded(check, manifest_id, facts, parsed, where),
        *await _complete(check, facts, parsed, where),
    ]


def _wrong(facts: ManifestFacts) -> str | None:
    try:
        digest = parse_digest(facts.digest)
    except DigestInvalid:
        return "the row's digest is none"
    actual = Digest.of(facts.body, digest.algorithm)
    if actual != digest:
        return f"the bytes are those of {actual}"
    if len(facts.body) != facts.size:
        return f"the row says {facts.size} bytes, there are {len(facts.body)}"
    return None


async def _recorded(
    check: Check, manifest_id: int, facts: ManifestFacts, parsed: Manifest, where: str
) -> list[Finding]:
    """The rows beside the manifest say what its bytes say."""
    subject = None if parsed.subject is None else str(parsed.subject)
    if subject != facts.subject:
        what = f"the row's subject is {facts.subject}, the manifest's {subject}"
        return [Finding("manifest.damaged", where, what, "")]
    recorded = await check.resources.database.read(consistency.references, manifest_id)
    if recorded != [(item.kind, str(item.digest)) for item in parsed.references]:
        what = "the rows of its references are not those of its bytes"
        return [Finding("manifest.damaged", where, what, "")]
    return []


async def _complete(
    check: Check, facts: ManifestFacts, parsed: Manifest, where: str
) -> list[Finding]:
    wanted = [item.digest for item in parsed.references if item.required]
    held = await check.resources.database.read(consistency.held, facts.repository_id, wanted)
    return [
        Finding("manifest.incomplete", where, f"the repository does not hold {digest}", "")
        for digest in dict.fromkeys(wanted)
        if str(digest) not in held
    ]


async def tag(check: Check, key: Key) -> list[Finding]:
    """A tag resolves, and its history ends where it points."""
    facts = await check.resources.database.read(consistency.tag, key)
    if facts is None:
        return []
    where = f"{facts.repository or key[0]}:{key[1]}"
    if facts.repository is None or facts.manifest_id is None:
        return [Finding("tag.dangling", where, f"there is no manifest {facts.digest}", "")]
    if facts.moved_to != facts.digest:
        what = f"it points at {facts.digest}, its history at {facts.moved_to}"
        return [Finding("tag.history", where, what, "")]
    return []


async def move(check: Check, move_id: int) -> list[Finding]:
    """A tag that was set and not deleted is there."""
    lost = await check.resources.database.read(consistency.lost_tag, move_id)
    if lost is None:
        return []
    where = f"{lost.repository}:{lost.tag}"
    return [Finding("tag.lost", where, f"its history ends at {lost.digest}, it is gone", "")]
