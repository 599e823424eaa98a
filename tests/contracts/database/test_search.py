"""What a repository is found by, in both databases alike."""

import json
from collections.abc import Callable

from kho.server.database import images, manifests, repositories, tags
from kho.server.database.engine import Database, Transaction
from kho.server.database.images import ImageFacts
from kho.server.database.searching import search, search_writing
from kho.server.database.searching.search import Word
from kho.server.database.searching.search_document import (
    TAGS,
    Field,
    component,
    kind_facet,
    platform_facet,
)
from kho.server.policy.sight import Kind, Sight
from tests.contracts.database.samples import digest, manifest, put_manifest

ALL = Sight(Kind.EVERYTHING)
LABELS = {
    "org.opencontainers.image.licenses": "Apache-2.0",
    "org.opencontainers.image.created": "2026-11-23T10:00:00Z",
    "com.example.team": "Đội Thanh toán",
}


async def make(tx: Transaction, name: str, number: int, *named: str) -> int:
    """A repository with an image that has labels and a platform."""
    repository_id = await put_manifest(tx, name, manifest(number))
    facts = ImageFacts(
        kind="image",
        platforms='["linux/arm/v6"]',
        config_digest=None,
        layers=1,
        total_size=10,
        built_at=None,
        labels=json.dumps(LABELS),
    )
    await images.put(tx, repository_id, str(digest(number)), facts, "pusher")
    for tag in named:
        await tags.point(tx, repository_id, tag, digest(number), "pusher")
    await search_writing.refresh(tx, repository_id)
    return repository_id


async def found(database: Database, *words: str, facets: tuple[str, ...] = ()) -> list[str]:
    """Names of all repositories that have the words, of which the last may go on."""
    *whole, last = words
    ranges = [*map(Word.exactly, whole), Word.beginning(last)]

    async def ask(tx: Transaction) -> list[str]:
        ids = await search.following(tx, 0, 1000)
        rows = await search.candidates(
            tx, ALL, ids, ranges, facets, is_public=None, pushed_after=None
        )
        for word in ranges:
            lists = [await search.having(tx, field, word, 1000) for field in list(Field)[:3]]
            assert {row.id for row in rows} <= {one for ids in lists for one in ids}
        return sorted(row.name for row in rows)

    return await database.read(ask)


FOUND_BY = [
    ("team",),
    ("te",),
    ("my", "app"),
    ("app", "my"),
    ("1.25",),
    ("1.25.3",),
    ("alpine",),
    ("apache",),
    ("2.0",),
    ("licenses",),
    ("doi", "thanh", "toan"),
    ("linux",),
    ("6",),
]
NOT_FOUND_BY = [("v6",), ("eam",), ("2026",), ("created",), ("app", "old")]


async def test_words_of_name_tags_labels_and_platforms(database: Database) -> None:
    await database.write(make, "team/my-app", 1, "1.25.3-alpine", "latest")
    await database.write(make, "other", 2)
    for words in FOUND_BY:
        assert await found(database, *words) == ["team/my-app"], words
    for words in NOT_FOUND_BY:
        assert await found(database, *words) == [], words


async def test_the_best_field_counts(database: Database) -> None:
    await database.write(make, "apache/httpd", 1, "linux")

    async def ask(tx: Transaction) -> list[tuple[int, ...]]:
        ids = await search.following(tx, 0, 10)
        ranges = [Word.exactly("apache"), Word.beginning("li")]
        rows = await search.candidates(tx, ALL, ids, ranges, [], is_public=None, pushed_after=None)
        return [row.fields for row in rows]

    assert await database.read(ask) == [(Field.NAME, Field.REST)]


async def test_facets_and_components(database: Database) -> None:
    one = await database.write(make, "team/my-app", 1, "latest")
    for facet in (platform_facet("linux/arm/v6"), platform_facet("linux/arm"), kind_facet("image")):
        assert await found(database, "app", facets=(facet,)) == ["team/my-app"]
    assert await found(database, "app", facets=(platform_facet("linux/amd64"),)) == []
    last = Word.exactly(component("my-app"))
    assert await database.read(search.having, Field.COMPONENT, last, 10) == [one]


async def test_what_goes_is_found_no_longer(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    one = await database.write(make, "app", 1, "old", "stays")

    async def change(tx: Transaction) -> None:
        await tags.delete(tx, "app", "old", "pusher")
        await tags.point(tx, one, "new", digest(1), "pusher")
        await search_writing.refresh(tx, one)

    await database.write(change)
    assert await found(database, "old") == []
    assert await found(database, "new") == await found(database, "stays") == ["app"]

    async def empty(tx: Transaction) -> None:
        await manifests.delete(tx, "app", digest(1), "pusher")
        await search_writing.refresh(tx, one)

    await database.write(empty)
    assert await found(database, "app") == []
    assert run_sql("SELECT count(*) FROM search_words") == "0"
    assert run_sql("SELECT count(*) FROM search_documents") == "0"


async def test_what_did_not_change_is_not_written_again(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    one = await database.write(make, "app", 1, "a", "b")
    run_sql("UPDATE search_words SET field = 2 WHERE word = 'app'")  # it would be put right

    async def again(tx: Transaction) -> None:
        await tags.point(tx, one, "a", digest(1), "another")
        await search_writing.refresh(tx, one)

    await database.write(again)
    assert run_sql("SELECT field FROM search_words WHERE word = 'app'") == "2"


async def test_words_of_another_version_are_put_right(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    one = await database.write(make, "app", 1, "a")
    run_sql("UPDATE search_words SET field = 2 WHERE word = 'app'")
    run_sql(f"INSERT INTO search_words (repository_id, word, field) VALUES ({one}, 'gone', 2)")
    run_sql("UPDATE search_documents SET source = replace(source, 'version\":1', 'version\":0')")
    await database.write(search_writing.refresh, one)
    assert run_sql("SELECT field FROM search_words WHERE word = 'app'") == "0"
    assert await found(database, "gone") == []


async def test_of_many_tags_the_newest_count(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    one = await database.write(make, "app", 1, *(f"build{number}" for number in range(TAGS)))
    run_sql("UPDATE tags SET updated_at = 1 WHERE name = 'build7'")

    async def push(tx: Transaction) -> None:
        await tags.point(tx, one, "release", digest(1), "pusher")
        await search_writing.refresh(tx, one)

    await database.write(push)
    assert await found(database, "release") == ["app"]
    assert await found(database, "build7", "app") == []
    assert await found(database, "build49") == ["app"]
    assert int(run_sql("SELECT count(*) FROM search_words")) < TAGS + 30


async def test_text_that_no_database_takes_as_it_is(database: Database) -> None:
    async def push(tx: Transaction) -> None:
        one = await put_manifest(tx, "app", manifest(1))
        labels = json.dumps({"a\0b": "NUL \0 half \ud800 pair", "q": "'; DROP TABLE tags; --"})
        facts = ImageFacts("image", "[]", None, 1, 1, None, labels.replace("\\u0000", ""))
        await images.put(tx, one, str(digest(1)), facts, "pusher")
        await tags.point(tx, one, "latest", digest(1), "pusher")
        await search_writing.refresh(tx, one)

    await database.write(push)
    assert await found(database, "half", "pair") == await found(database, "drop") == ["app"]


async def test_a_description_and_the_head_of_a_page(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    one = await database.write(make, "app", 1)
    body = "# Crème brûlée " + "x" * 3000 + " tail"
    run_sql(f"UPDATE repositories SET description = 'Cửa hàng' WHERE id = {one}")
    run_sql(f"INSERT INTO readmes VALUES ({one}, 1, 'me', '{body}')")
    await database.write(search_writing.refresh, one)
    assert await found(database, "cua", "hang") == ["app"]
    assert await found(database, "brulee") == ["app"]
    assert await found(database, "tail") == []


async def test_digests_lead_to_their_repositories(database: Database) -> None:
    one = await database.write(make, "app", 0xABCDEF << 232)
    found_digests = await database.read(search.holding, "sha256:abcdef", 10)
    assert found_digests == ({one: str(digest(0xABCDEF << 232))}, True)
    assert await database.read(search.holding, "sha256:abcdee", 10) == ({}, True)
    assert await database.read(search.holding, "sha256:abcdef", 0) == ({}, False)


async def test_lists_are_bounded_and_in_order(
    database: Database, run_sql: Callable[[str], str]
) -> None:
    made = [await database.write(make, f"team/app{number}", number) for number in range(1, 6)]
    run_sql(f"UPDATE repositories SET pulls = 9, pushed_at = 50 WHERE id = {made[3]}")
    await database.write(repositories.set_public, "team/app2", public=True)
    read = database.read
    assert await read(search.having, Field.NAME, Word.beginning("app"), 3) == made[:3]
    assert await read(search.named, "team!app2", "team!app4", 10) == made[1:3]
    assert await read(search.public, 10) == [made[1]]
    assert (await read(search.popular, 2))[0] == made[3]
    assert await read(search.recent, 49, 10) == [made[3]]
    assert await read(search.recent, 50, 10) == []
    assert await read(search.following, made[0], 2) == made[1:3]
