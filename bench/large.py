"""The rows of a large registry, written into its database directly: pushing them takes hours.

team-00000/even-00, odd-01, ...    repositories, a hundred in a team, each with one manifest
team-00000/special                 ten of them, spread over all
bench/large                        one repository with all the tags and referrers

`khod fsck` finds nothing wrong with any of it.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from bench.settings import ListLoad

LARGE = "bench/large"
TEAM = 100
SPECIAL = 10
# Rows of `bench/large` come first: its id, and that of the manifest that everything is about.
ONE = 1
EMPTY = b"{}"
EMPTY_DIGEST = f"sha256:{hashlib.sha256(EMPTY).hexdigest()}"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.example.sbom"


class Rows(NamedTuple):
    """What one table gets."""

    table: str
    columns: tuple[str, ...]
    values: Iterable[tuple[object, ...]]


def tag_name(number: int) -> str:
    """The tags in order."""
    return f"v1.{number:07d}"


def repository_names(load: ListLoad) -> list[str]:
    """All but `bench/large`, in the order of the catalog, which is that of their bytes."""
    step = max(1, load.repositories // SPECIAL)
    return sorted(_name(number, step) for number in range(load.repositories))


def _name(number: int, step: int) -> str:
    team, member = divmod(number, TEAM)
    if number % step == step // 2:
        return f"team-{team:05d}/special"
    return f"team-{team:05d}/{'odd' if member % 2 else 'even'}-{member:02d}"


def image() -> bytes:
    """The manifest of every repository; what it needs is empty."""
    return _manifest({})


def image_digest() -> str:
    """The subject of all referrers."""
    return _digest(image())


def rows(load: ListLoad) -> Iterator[Rows]:
    """Table by table, so that a row comes after what it refers to."""
    names = enumerate((LARGE, *repository_names(load)), ONE)
    numbers = range(ONE, ONE + load.repositories + 1)
    yield Rows(
        "repositories",
        ("id", "name", "sort_key", "created_at"),
        ((number, name, name.replace("/", "!"), 0) for number, name in names),
    )
    yield Rows("blobs", ("digest", "size", "created_at"), [(EMPTY_DIGEST, len(EMPTY), 0)])
    held = ("repository_id", "digest", "created_at")
    yield Rows("repository_blobs", held, ((number, EMPTY_DIGEST, 0) for number in numbers))
    yield _images(numbers)
    first = numbers.stop
    yield _referrers(load, first)
    yield Rows(
        "manifest_references",
        ("manifest_id", "position", "digest", "kind"),
        (
            (manifest, position, EMPTY_DIGEST, kind)
            for manifest in range(ONE, first + load.referrers)
            for position, kind in enumerate(("config", "layer"))
        ),
    )
    tags = range(load.tags)
    digest = image_digest()
    tagged = ("repository_id", "name", "digest", "updated_at")
    yield Rows("tags", tagged, ((ONE, tag_name(number), digest, 0) for number in tags))
    yield Rows(
        "tag_history",
        ("repository_id", "tag", "to_digest", "actor", "at"),
        ((ONE, tag_name(number), digest, "anonymous", 0) for number in tags),
    )


_MANIFEST = (
    *("id", "repository_id", "digest", "media_type", "artifact_type", "subject_digest"),
    *("size", "created_at", "annotations", "body"),
)


def _images(numbers: range) -> Rows:
    body, digest = image(), image_digest()
    values = (
        (number, number, digest, MANIFEST_TYPE, None, None, len(body), 0, None, body)
        for number in numbers
    )
    return Rows("manifests", _MANIFEST, values)


def _referrers(load: ListLoad, first: int) -> Rows:
    subject = {"mediaType": MANIFEST_TYPE, "digest": image_digest(), "size": len(image())}

    def values() -> Iterator[tuple[object, ...]]:
        for number in range(load.referrers):
            notes = {
                "org.opencontainers.image.created": "2026-01-31T00:00:00Z",
                "org.example.predicate": "https://spdx.dev/Document",
                "org.example.number": str(number),
            }
            fields = {"artifactType": ARTIFACT_TYPE, "subject": subject, "annotations": notes}
            body = _manifest(fields)
            kinds = MANIFEST_TYPE, ARTIFACT_TYPE, subject["digest"]
            told = len(body), 0, json.dumps(notes), body
            yield (first + number, ONE, _digest(body), *kinds, *told)

    return Rows("manifests", _MANIFEST, values())


def referrer_digests(load: ListLoad) -> list[str]:
    """The referrers in the order of their list."""
    return sorted(str(row[2]) for row in _referrers(load, 0).values)


def granted(subject: str, patterns: Iterable[str]) -> Rows:
    """Leave to read what these globs match."""
    columns = ("subject", "role", "pattern", "created_by", "created_at")
    return Rows("grants", columns, ((subject, "reader", each, "operator", 0) for each in patterns))


def fill_sqlite(data: Path, tables: Iterable[Rows]) -> None:
    """Write it all into the data folder of a server that does not run."""
    write_blob(data)
    with closing(sqlite3.connect(data / "kho.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN IMMEDIATE")
        for table, columns, values in tables:
            marks = ", ".join("?" * len(columns))
            into = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
            connection.executemany(into, values)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def write_blob(data: Path) -> None:
    """The bytes of the only blob."""
    hexed = EMPTY_DIGEST.partition(":")[2]
    folder = data / "docker/registry/v2/blobs/sha256" / hexed[:2] / hexed
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data").write_bytes(EMPTY)


def _manifest(more: Mapping[str, object]) -> bytes:
    empty = {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": EMPTY_DIGEST,
        "size": len(EMPTY),
    }
    body = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        **more,
        "config": empty,
        "layers": [empty],
    }
    return json.dumps(body, separators=(",", ":")).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
