"""Looks at bytes: blobs with their rows, files without, sessions."""

from collections.abc import Hashable, Sequence

from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import DigestInvalid, Unavailable
from kho.oci.hashing import resume_hasher
from kho.server.database import blobs, inventory, uploads
from kho.server.database.inventory import SessionFacts
from kho.server.registry.finding import Check, Finding
from kho.server.storage.interface import StoredBlob, StoredReader, StoredSession

_HOLDERS = 3


async def blob(check: Check, name: str) -> list[Finding]:
    """A blob's row has its bytes, whole and right."""
    try:
        digest = parse_digest(name)
    except DigestInvalid:
        return [Finding("blob.name", name, "the row's digest is none", "")]
    size = await check.resources.database.read(blobs.size_anywhere, digest)
    if size is None:
        return []
    reader = await check.resources.storage.open(digest, None)
    if reader is None:
        return [await _missing(check, digest)]
    try:
        wrong = await _wrong(check, reader, digest, size)
        identity = reader.identity
    except Unavailable as error:
        return [Finding("blob.unreadable", name, error.message, "")]
    finally:
        reader.close()
    if wrong is None:
        return []

    async def mend() -> bool:
        return await _set_aside(check, digest, identity)

    return [Finding("blob.damaged", name, wrong, "moved to quarantine; push it again", mend)]


async def _wrong(check: Check, reader: StoredReader, digest: Digest, size: int) -> str | None:
    if reader.size != size:
        return f"{reader.size} bytes are stored, {size} were pushed"
    if check.quick:
        return None
    actual = await reader.digest(digest.algorithm)
    check.count("bytes", size)
    return None if actual == digest else f"the bytes are those of {actual}"


async def _missing(check: Check, digest: Digest) -> Finding:
    found = await check.resources.database.read(inventory.holders, str(digest), _HOLDERS + 1)
    if found:
        more = ", …" if len(found) > _HOLDERS else ""
        what = f"there are no bytes; in {', '.join(found[:_HOLDERS])}{more}"
        return Finding("blob.missing", str(digest), what, "")

    async def mend() -> bool:
        return await check.resources.database.write(inventory.forget_blob, str(digest))

    what = "there are no bytes, and no repository has it"
    return Finding("blob.missing", str(digest), what, "row removed", mend)


async def _set_aside(check: Check, digest: Digest, identity: Hashable) -> bool:
    """Only the bytes that were looked at: a push may have replaced them."""
    reader = await check.resources.storage.open(digest, None)
    if reader is None:
        return False
    try:
        return reader.identity == identity and await reader.set_aside()
    finally:
        reader.close()


async def without_row(check: Check, files: Sequence[StoredBlob]) -> list[StoredBlob]:
    """Those that no row knows, and that have lain there for long enough."""
    named = [file.digest for file in files if file.digest is not None]
    known = await check.resources.database.read(inventory.known_blobs, named) if named else set()
    return [
        file
        for file in files
        if file.age_seconds >= check.min_age
        and (file.digest is None or str(file.digest) not in known)
    ]


async def file(check: Check, stored: StoredBlob) -> list[Finding]:
    """A file under the name of a blob is one."""
    digest = stored.digest
    if digest is None:
        return [Finding("file.stray", stored.where, "no file of this registry", "")]
    if await check.resources.database.read(blobs.size_anywhere, digest) is not None:
        return []
    reader = await check.resources.storage.open(digest, None)
    if reader is None:
        return []
    reader.close()

    async def mend() -> bool:
        return await _adopt(check, digest)

    what = "no row knows these bytes: what a crash or a failed push left"
    repair = "adopted for garbage collection, or moved to quarantine when damaged"
    return [Finding("blob.orphan", stored.where, what, repair, mend)]


async def _adopt(check: Check, digest: Digest) -> bool:
    """Give the bytes a row that no repository links.

    Not removed here: a push that finishes just now may have found them, and removing bytes that a
    row is about to name is the one thing that must never happen.
    """
    reader = await check.resources.storage.open(digest, None)
    if reader is None:
        return False
    try:
        if await reader.digest(digest.algorithm) != digest:
            return await reader.set_aside()
    finally:
        reader.close()
    await check.resources.database.write(blobs.put, digest, reader.size)
    return True


async def upload(check: Check, upload_id: str) -> list[Finding]:
    """A session has the bytes that were acknowledged."""
    facts = await check.resources.database.read(inventory.upload, upload_id)
    if facts is None or not facts.size:
        return []
    found = await check.resources.storage.inventory.session(upload_id)
    where = f"upload {upload_id} of {facts.repository}"
    if found is None:
        # Its bytes may just be on their way to become a blob, or did before a crash.
        if facts.rested_ms < check.min_age * 1000 or await _placed(check, facts):
            return []
        what = f"{facts.size} bytes were acknowledged, there are none"
    elif found.size < facts.size:
        what = f"{facts.size} bytes were acknowledged, {found.size} are stored"
    else:
        return []

    async def mend() -> bool:
        return await check.resources.database.write(uploads.remove, upload_id)

    return [Finding("upload.lost", where, what, "session removed", mend)]


async def _placed(check: Check, facts: SessionFacts) -> bool:
    hasher = resume_hasher(facts.algorithm, facts.state)
    if hasher is None:
        return False
    return await check.resources.storage.holds(hasher.digest(), facts.size)


async def session(check: Check, stored: StoredSession) -> list[Finding]:
    """Bytes of a session have their row; a push in one request has none, but goes on."""
    if stored.age_seconds < check.min_age:
        return []
    if await check.resources.database.read(inventory.known_uploads, [stored.id]):
        return []
    again = await check.resources.storage.inventory.session(stored.id)
    if again is None or again.age_seconds < check.min_age:
        return []

    async def mend() -> bool:
        return await check.resources.storage.inventory.clear(stored.id)

    what = f"{stored.size} bytes of no session"
    return [Finding("upload.orphan", f"uploads/{stored.id}", what, "removed", mend)]
