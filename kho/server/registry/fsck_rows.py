"""Looks at rows: manifests, tags, and what they refer to."""

from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import DigestInvalid, RegistryError
from kho.oci.manifest import Manifest, parse_manifest
from kho.server.database import consistency, manifests
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
    found = await _complete(check, facts, parsed, where)
    misread = await _misrecorded(check, manifest_id, facts, parsed)
    if misread is None:
        return found

    async def mend() -> bool:
        new = manifests.new_manifest(parse_digest(facts.digest), parsed, facts.body)
        write = check.resources.database.write
        return await write(manifests.record_again, facts.repository_id, new)

    repair = "recorded again from its bytes"
    return [Finding("manifest.misrecorded", where, misread, repair, mend), *found]


def _wrong(facts: ManifestFacts) -> str | None:
    try:
        digest = parse_digest(facts.digest)
    except DigestInvalid:
        return "the row's digest is none"
    actual = Digest.of(facts.body, digest.algorithm)
    return None if actual == digest else f"the bytes are those of {actual}"


async def _misrecorded(
    check: Check, manifest_id: int, facts: ManifestFacts, parsed: Manifest
) -> str | None:
    """What the rows beside the manifest say that its bytes do not."""
    if len(facts.body) != facts.size:
        return f"the row says {facts.size} bytes, there are {len(facts.body)}"
    subject = None if parsed.subject is None else str(parsed.subject)
    if subject != facts.subject:
        return f"the row's subject is {facts.subject}, the manifest's {subject}"
    recorded = await check.resources.database.read(consistency.references, manifest_id)
    if recorded != [(item.kind, str(item.digest)) for item in parsed.references]:
        return "the rows of its references are not those of its bytes"
    return None


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
