"""Rows of manifests, their references, and who refers to them."""

import asyncio
from collections.abc import Callable

import pytest

from kho.server.database import manifests, repositories, tags
from kho.server.database.engine import Database, Transaction
from kho.server.database.manifests import Kind, ManifestRow

from .samples import MEDIA_TYPE, digest, manifest, put_manifest


async def test_found_by_tag_and_by_digest_with_its_exact_bytes(database: Database) -> None:
    new = manifest(1)
    await database.write(put_manifest, "a", new, "latest")
    row = ManifestRow(str(digest(1)), MEDIA_TYPE, new.body)
    assert await database.read(manifests.by_tag, "a", "latest") == row
    assert await database.read(manifests.by_digest, "a", digest(1)) == row


async def test_unknown_manifest_tag_or_repository(database: Database) -> None:
    await database.write(put_manifest, "a", manifest(1), "latest")
    await database.write(repositories.ensure, "b")
    assert await database.read(manifests.by_tag, "a", "newest") is None
    assert await database.read(manifests.by_tag, "b", "latest") is None
    assert await database.read(manifests.by_tag, "c", "latest") is None
    assert await database.read(manifests.by_digest, "a", digest(2)) is None
    assert await database.read(manifests.by_digest, "b", digest(1)) is None


async def test_put_again_changes_nothing(database: Database, run_sql: Callable[[str], str]) -> None:
    new = manifest(1, references=[("config", digest(7)), ("layer", digest(8))])
    await database.write(put_manifest, "a", new)
    await database.write(put_manifest, "a", new)
    assert run_sql("SELECT count(*) FROM manifests") == "1"
    assert run_sql("SELECT count(*) FROM manifest_references") == "2"


@pytest.mark.parametrize("damage", ["body = {other}", "body = {none}", "size = size + 1"])
async def test_put_again_heals_what_was_damaged(
    database: Database, run_sql: Callable[[str], str], damage: str
) -> None:
    new = manifest(1, references=[("config", digest(7)), ("layer", digest(8))], subject=digest(3))
    await database.write(put_manifest, "a", new, "latest")
    await database.write(put_manifest, "b", new)
    everything = "SELECT * FROM manifests ORDER BY id"
    before = run_sql(everything)
    sqlite = database.dialect == "sqlite"
    marks = {"other": "x'7b7d'", "none": "x''"} if sqlite else {"other": "'{}'", "none": "''"}
    run_sql(f"UPDATE manifests SET {damage.format(**marks)}")
    run_sql("DELETE FROM manifest_references WHERE position = 1")
    assert run_sql(everything) != before
    for repository in ("a", "b"):
        await database.write(put_manifest, repository, new)
    assert run_sql(everything) == before
    assert run_sql("SELECT count(*) FROM manifest_references") == "4"
    row = ManifestRow(str(digest(1)), MEDIA_TYPE, new.body)
    assert await database.read(manifests.by_tag, "a", "latest") == row


async def test_the_same_manifest_in_two_repositories(database: Database) -> None:
    await database.write(put_manifest, "a", manifest(1))
    await database.write(put_manifest, "b", manifest(1))
    assert await database.write(manifests.delete, "a", digest(1), "eve")
    assert await database.read(manifests.by_digest, "b", digest(1)) is not None


async def test_references_keep_order_kind_and_repetition(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    references: list[tuple[Kind, int]] = [
        ("config", 3),
        ("layer", 2),
        ("layer", 2),
        ("manifest", 1),
    ]
    new = manifest(9, references=[(kind, digest(number)) for kind, number in references])
    await database.write(put_manifest, "a", new)
    rows = run_sql("SELECT position, kind, digest FROM manifest_references ORDER BY position")
    expected = [f"{at}|{kind}|{digest(number)}" for at, (kind, number) in enumerate(references)]
    assert rows.splitlines() == expected


async def test_thousands_of_references(database: Database, run_sql: Callable[[str], str]) -> None:
    new = manifest(9, references=[("manifest", digest(number)) for number in range(20_000)])
    await database.write(put_manifest, "a", new)
    assert run_sql("SELECT count(*) FROM manifest_references") == "20000"


async def test_a_body_of_four_mebibytes(database: Database) -> None:
    new = manifest(1)
    body = bytes(range(256)) * 16_384
    large = manifests.NewManifest(new.digest, MEDIA_TYPE, None, None, None, body, ())
    await database.write(put_manifest, "a", large, "latest")
    row = await database.read(manifests.by_tag, "a", "latest")
    assert row is not None
    assert row.body == body


async def test_delete_takes_references_and_every_tag(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    new = manifest(1, references=[("layer", digest(8))])
    await database.write(put_manifest, "a", new, "one", "two")
    await database.write(put_manifest, "a", manifest(2), "three")
    assert await database.write(manifests.delete, "a", digest(1), "eve")
    assert not await database.write(manifests.delete, "a", digest(1), "eve")
    assert await database.read(tags.page, "a", None, 10) == ["three"]
    assert run_sql("SELECT count(*) FROM manifest_references") == "0"
    moves = await database.read(tags.history, "a", "two")
    assert [move[:3] for move in moves] == [
        (None, str(digest(1)), "pusher"),
        (str(digest(1)), None, "eve"),
    ]


async def test_delete_of_what_is_not_there(database: Database) -> None:
    await database.write(put_manifest, "a", manifest(1))
    assert not await database.write(manifests.delete, "a", digest(2), "eve")
    assert not await database.write(manifests.delete, "b", digest(1), "eve")


async def test_put_again_after_delete(database: Database) -> None:
    new = manifest(1, references=[("layer", digest(8))])
    for _ in range(2):
        await database.write(put_manifest, "a", new, "latest")
        assert await database.read(manifests.by_tag, "a", "latest") is not None
        assert await database.write(manifests.delete, "a", digest(1), "eve")
    assert await database.read(manifests.by_tag, "a", "latest") is None


async def test_missing_and_sizes(database: Database) -> None:
    repository_id = await database.write(put_manifest, "a", manifest(1))
    await database.write(put_manifest, "b", manifest(2))
    asked = [digest(3), digest(2), digest(1)]
    assert await database.write(manifests.missing, repository_id, asked) == [digest(3), digest(2)]
    sizes = await database.write(manifests.sizes, repository_id, asked)
    assert sizes == {digest(1): len(manifest(1).body)}


async def test_referenced_by_an_index_of_this_repository(database: Database) -> None:
    await database.write(put_manifest, "a", manifest(1))
    await database.write(put_manifest, "b", manifest(1))
    await database.write(put_manifest, "a", manifest(2, references=[("manifest", digest(1))]))
    assert await database.read(manifests.referenced, "a", digest(1))
    assert not await database.read(manifests.referenced, "b", digest(1))
    assert not await database.read(manifests.referenced, "a", digest(2))


async def _index_if_complete(tx: Transaction, number: int) -> bool:
    repository_id = await repositories.ensure(tx, "a")
    if not await manifests.sizes(tx, repository_id, [digest(number)]):
        return False
    index = manifest(1000 + number, references=[("manifest", digest(number))])
    await put_manifest(tx, "a", index, f"t{number}")
    return True


async def _delete_unless_needed(tx: Transaction, number: int) -> bool:
    await manifests.delete(tx, "a", digest(number), "eve")
    if await manifests.referenced(tx, "a", digest(number)):
        raise LookupError("needed")
    return True


async def test_no_index_comes_between_check_and_delete(database: Database, other: Database) -> None:
    """I3: of a push of an index and a delete of its child, one sees the other."""
    for number in range(40):
        await database.write(put_manifest, "a", manifest(number))
        pushed, deleted = await asyncio.gather(
            database.write(_index_if_complete, number),
            other.write(_delete_unless_needed, number),
            return_exceptions=True,
        )
        there = await database.read(manifests.by_digest, "a", digest(number)) is not None
        assert there is (deleted is not True)
        assert pushed is there
