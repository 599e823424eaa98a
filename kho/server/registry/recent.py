"""Rows that were read since anybody committed: what asking again would answer, without asking.

    recent(resources) ── the database's edition is as before ──> what was found under it
                      └─ anything was committed, by anyone ────> a new, empty one

The edition is read before the rows, so these are never older than it. On PostgreSQL, which has
none, nothing is kept. Measured: docs/decisions/0018.
"""

from dataclasses import dataclass, field
from typing import Final

from kho.oci.digest import Digest
from kho.server.database.manifests import ManifestRow
from kho.server.resources import Resources

MOST_SIZES: Final = 10_000
KEPT_BYTES: Final = 4 * 1024 * 1024
LONGEST_KEPT: Final = 64 * 1024
_OVERHEAD: Final = 512


@dataclass(slots=True)
class Recent:
    """What was found under one edition; who still holds an old one adds to it in vain."""

    sizes: dict[tuple[str, Digest], int] = field(default_factory=dict)
    manifests: dict[tuple[str, Digest | str], ManifestRow] = field(default_factory=dict)
    _room: int = KEPT_BYTES

    def add_size(self, repository: str, digest: Digest, size: int) -> None:
        """A blob that the repository has."""
        if len(self.sizes) >= MOST_SIZES:
            self.sizes.clear()
        self.sizes[repository, digest] = size

    def add_manifest(self, repository: str, reference: Digest | str, row: ManifestRow) -> None:
        """A manifest whose bytes have been compared with its digest."""
        size = len(row.body) + _OVERHEAD
        if size > LONGEST_KEPT:
            return
        if size > self._room:
            self.manifests.clear()
            self._room = KEPT_BYTES
        self._room -= size
        self.manifests[repository, reference] = row


@dataclass(slots=True)
class _Newest:
    edition: bytes | None = None
    found: Recent = field(default_factory=Recent)


def recent(resources: Resources) -> Recent:
    """What this worker has found and nobody can have changed since."""
    newest = resources.memory.keep(_Newest)
    edition = resources.database.edition()
    if edition is None or edition != newest.edition:
        newest.edition = edition
        newest.found = Recent()
    return newest.found
