"""Rows of referrers."""

import json

import pytest

from kho.server.database import referrers
from kho.server.database.engine import Database, Transaction
from kho.server.database.referrers import ReferrerPage, ReferrerRow

from .samples import MEDIA_TYPE, digest, manifest, put_manifest

MUCH = 1_000_000


async def read(
    database: Database,
    *types: str,
    repository: str = "a",
    subject: int = 99,
    after: str | None = None,
    limit: int = 10,
    most_bytes: int = MUCH,
) -> ReferrerPage:
    """A page."""
    return await database.read(
        referrers.page,
        repository,
        digest(subject),
        types,
        after=after,
        limit=limit,
        most_bytes=most_bytes,
    )


async def _refer(tx: Transaction) -> None:
    kinds = {1: "sbom", 2: None, 3: "signature", 4: "sbom"}
    for number, kind in kinds.items():
        note = {"at": "đây", "n": str(number)} if number < 3 else None
        new = manifest(number, subject=digest(99), artifact_type=kind, annotations=note)
        await put_manifest(tx, "a", new)
    await put_manifest(tx, "a", manifest(5, subject=digest(98), artifact_type="sbom"))
    await put_manifest(tx, "b", manifest(6, subject=digest(99), artifact_type="sbom"))


@pytest.mark.parametrize(
    "types,numbers",
    [
        ([], [1, 2, 3, 4]),
        (["sbom"], [1, 4]),
        (["sbom", "signature"], [1, 3, 4]),
        (["nothing"], []),
        (["sb\0m"], []),
        (["'; DROP TABLE tags; --", '"', "sbom"], [1, 4]),
    ],
)
async def test_referrers(database: Database, types: list[str], numbers: list[int]) -> None:
    await database.write(_refer)
    rows, more = await read(database, *types)
    assert [row.digest for row in rows] == [str(digest(number)) for number in numbers]
    assert not more


async def test_what_a_list_of_referrers_shows(database: Database) -> None:
    await database.write(_refer)
    first, second, third, _ = (await read(database)).rows
    assert json.loads(first.annotations or "") == {"at": "đây", "n": "1"}
    size = len(manifest(1).body)
    assert first[:4] == ReferrerRow(str(digest(1)), MEDIA_TYPE, "sbom", size, None)[:4]
    assert second.artifact_type is None
    assert third.annotations is None


@pytest.mark.parametrize("limit", [1, 3, 4])
@pytest.mark.parametrize("most_bytes", [0, 30, MUCH])
@pytest.mark.parametrize("types,numbers", [((), (1, 2, 3, 4)), (("sbom",), (1, 4))])
async def test_pages_of_referrers_join(
    database: Database, limit: int, most_bytes: int, types: list[str], numbers: list[int]
) -> None:
    await database.write(_refer)
    fitting = max(1, most_bytes // len(manifest(1).body))
    seen: list[str] = []
    more = True
    while more:
        after = seen[-1] if seen else None
        rows, more = await read(database, *types, after=after, limit=limit, most_bytes=most_bytes)
        assert len(rows) == min(limit, fitting) or not more
        assert len(rows) <= min(limit, fitting)
        seen += [row.digest for row in rows]
    assert seen == [str(digest(number)) for number in numbers]


async def test_referrers_of_an_unknown_subject_or_repository(database: Database) -> None:
    await database.write(_refer)
    assert await read(database, subject=7) == ([], False)
    assert await read(database, repository="c") == ([], False)
