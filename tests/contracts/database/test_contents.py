"""What is in a repository, listed: tags in four orders, manifests with their parts, history."""

import json
from itertools import product

import pytest

from kho.oci.digest import Digest
from kho.server.database import images, repositories
from kho.server.database import tags as tag_rows
from kho.server.database.contents import attachments, history, removal, sharing, tags, versions
from kho.server.database.contents.tags import ALIASES, BUNDLES, SIGNATURES, Order, Wanted
from kho.server.database.contents.versions import CHILDREN, REFERRERS, TAGS
from kho.server.database.engine import Database, Transaction
from kho.server.database.images import ImageFacts
from kho.server.database.manifests import Kind, NewManifest
from kho.server.policy.access import ANYONE, NOBODY
from kho.server.policy.sight import sight_of

from .samples import digest, manifest, put_blob, put_manifest

ORDERS: tuple[Order, ...] = ("name", "pushed", "size", "pulls")


def facts(kind: str = "image", size: int = 10, *platforms: str) -> ImageFacts:
    return ImageFacts(kind, json.dumps(platforms), None, 1, size, None, None)


async def put(
    tx: Transaction, new: NewManifest, *names: str, known: ImageFacts | None = None
) -> int:
    """A manifest of the repository `a` with what is known of it, and tags."""
    repository_id = await put_manifest(tx, "a", new)
    await images.put(tx, repository_id, str(new.digest), known or facts(), "user:a")
    for name in names:
        await tag_rows.point(tx, repository_id, name, new.digest, "user:a")
    return repository_id


async def walk(database: Database, repository_id: int, wanted: Wanted, limit: int) -> list[str]:
    """The names of every page."""
    seen: list[str] = []
    after = None
    while True:
        wanted = wanted._replace(after=after)
        keys = await database.read(tags.keys, repository_id, wanted, limit)
        assert len(keys) <= limit
        seen += [name for _, name in keys]
        if len(keys) < limit:
            return seen
        after = keys[-1][0], keys[-1][1]


NAMES = ["1.10", "1.9", "1.9-rc1", "latest", "Latest", "v2", "v10", "_x", "a%b".replace("%", "_")]


@pytest.fixture
async def tagged(database: Database) -> int:
    """Tags of three images of different sizes."""
    id_ = 0
    for number, size in ((1, 300), (2, 100), (3, 200)):
        names = NAMES[number - 1 :: 3]
        id_ = await database.write(put, manifest(number), *names, known=facts("image", size))
    return id_


async def test_tags_in_natural_order(database: Database, tagged: int) -> None:
    found = await walk(database, tagged, Wanted(), 100)
    assert sorted(found) == sorted(NAMES)
    assert found.index("1.9") < found.index("1.9-rc1") < found.index("1.10")
    assert found.index("v2") < found.index("v10")


@pytest.mark.parametrize("order, descending", list(product(ORDERS, [False, True])))
async def test_pages_join_in_every_order(
    database: Database, tagged: int, order: Order, descending: bool
) -> None:
    wanted = Wanted(order, descending)
    whole = await walk(database, tagged, wanted, 100)
    assert sorted(whole) == sorted(NAMES)
    for limit in (1, 2, 5):
        assert await walk(database, tagged, wanted, limit) == whole
    forward = await walk(database, tagged, Wanted(order, descending=not descending), 100)
    assert forward == whole[::-1]


async def test_tags_by_size(database: Database, tagged: int) -> None:
    keys = await database.read(tags.keys, tagged, Wanted("size"), 100)
    assert [size for size, _ in keys] == [100] * 3 + [200] * 3 + [300] * 3


@pytest.mark.parametrize(
    "like, expected",
    [
        ("%1.9%", {"1.9", "1.9-rc1"}),
        ("%latest%", {"latest", "Latest"}),
        ("v%", {"v2", "v10"}),
        ("v__", {"v10"}),
        ("%!_%", {"_x", "a_b"}),
        ("", set()),
    ],
)
async def test_tags_that_match(
    database: Database, tagged: int, like: str, expected: set[str]
) -> None:
    for order in ORDERS:
        assert set(await walk(database, tagged, Wanted(order, like=like), 2)) == expected


async def test_what_is_shown_of_a_tag(database: Database) -> None:
    id_ = await database.write(put, manifest(1), "a", "b", known=facts("index", 7, "linux/arm64"))
    other = await database.write(put_manifest, "b", manifest(1), "z")
    row = (await database.read(tags.rows, id_, ["a", "gone"]))["a"]
    assert (row.digest, row.kind, row.platforms) == (str(digest(1)), "index", '["linux/arm64"]')
    assert (row.total_size, row.pushed_by, row.pulls, row.signed) == (7, "user:a", 0, 0)
    assert sorted(tags.texts(row.aliases)) == ["a", "b"]
    unknown = (await database.read(tags.rows, other, ["z"]))["z"]
    assert (unknown.kind, unknown.platforms, unknown.total_size) == (None, None, None)
    assert tags.texts(unknown.aliases) == ["z"]


async def test_aliases_are_bounded(database: Database) -> None:
    id_ = await database.write(put, manifest(1), *(f"t{n}" for n in range(ALIASES + 5)))
    row = (await database.read(tags.rows, id_, ["t3"]))["t3"]
    assert len(tags.texts(row.aliases)) == ALIASES + 2


SIGN, NOT_SIGN = "https://sigstore.dev/cosign/sign/v1", "https://slsa.dev/provenance/v1"
PREDICATE = "dev.sigstore.bundle.predicateType"


@pytest.mark.parametrize(
    "type_, annotations, signed",
    [
        *((one, None, 1) for one in (*SIGNATURES, *BUNDLES)),
        (BUNDLES[0], {PREDICATE: SIGN}, 1),
        (BUNDLES[0], {PREDICATE: NOT_SIGN}, 0),
        (BUNDLES[0], {"x": "y"}, 1),
        ("application/spdx+json", None, 0),
        (None, None, 0),
    ],
)
async def test_a_signature_is_seen(
    database: Database, type_: str | None, annotations: dict[str, str] | None, signed: int
) -> None:
    id_ = await database.write(put, manifest(1), "t")
    signature = manifest(9, subject=digest(1), artifact_type=type_, annotations=annotations)
    await database.write(put, signature)
    await database.write(put_manifest, "b", manifest(2), "t")  # of another repository
    assert (await database.read(tags.rows, id_, ["t"]))["t"].signed == signed
    row = await database.read(versions.one, id_, str(digest(1)))
    assert row is not None
    assert row.signed == signed


async def test_cosign_signs_by_a_tag(database: Database) -> None:
    id_ = await database.write(put, manifest(1), "t")
    await database.write(put, manifest(9), f"sha256-{digest(1).hex}.sig")
    assert (await database.read(tags.rows, id_, ["t"]))["t"].signed == 1


async def shown(
    database: Database, id_: int, tagged: versions.Tagged = "all", kind: versions.Kind | None = None
) -> list[int]:
    """The numbers of the manifests that stand on their own."""
    found = await database.read(versions.page, id_, (0, 2**62), tagged, kind, 100)
    return [int(row.digest[-4:], 16) for row in found]


async def test_parts_are_not_listed_beside_their_whole(database: Database) -> None:
    for number in (1, 2, 3):
        id_ = await database.write(put, manifest(number), *(["old"] if number == 3 else []))
    listing: list[tuple[Kind, Digest]] = [
        ("manifest", digest(1)),
        ("manifest", digest(2)),
        ("manifest", digest(77)),
    ]
    await database.write(
        put, manifest(4, references=listing), "new", known=facts("index", 9, "a/b", "c/d")
    )
    await database.write(
        put, manifest(5, subject=digest(4), artifact_type="sbom"), known=facts("artifact")
    )
    await database.write(put, manifest(6, subject=digest(99)), known=facts("artifact"))
    await database.write(put_manifest, "b", manifest(8, references=[("manifest", digest(3))]))
    assert await shown(database, id_) == [6, 4, 3]
    assert await shown(database, id_, "tagged") == [4, 3]
    assert await shown(database, id_, "untagged") == [6]
    assert await shown(database, id_, kind="index") == [4]
    assert await shown(database, id_, kind="image") == [3]
    assert await shown(database, id_, "untagged", "index") == []
    index = (await database.read(versions.page, id_, (0, 2**62), "all", "index", 9))[0]
    assert (index.tags, index.referrers) == ('["new"]', f'["{digest(5)}"]')
    children = await database.read(versions.children, id_, [index.id])
    assert [(row.digest[-2:], row.kind) for row in children] == [
        ("01", "image"),
        ("02", "image"),
        ("4d", None),
    ]
    attached = await database.read(versions.attached, id_, [str(digest(5))])
    assert [(row.subject, row.artifact_type) for row in attached] == [(str(digest(4)), "sbom")]


async def test_windows_lead_to_the_end(database: Database) -> None:
    id_ = 0
    for number in range(1, 6):
        id_ = await database.write(put, manifest(number))
    window = await database.read(versions.window, id_, 2**62)
    assert window.held == 5
    assert window.low is not None
    assert await database.read(versions.window, id_, window.low) == (None, 0)
    found = await database.read(versions.page, id_, (window.low, 2**62), "all", None, 2)
    rest = await database.read(versions.page, id_, (window.low, found[-1].id), "all", None, 9)
    assert [row.digest[-1] for row in (*found, *rest)] == ["5", "4", "3", "2", "1"]


async def test_parts_are_bounded(database: Database) -> None:
    listing: list[tuple[Kind, Digest]] = [
        ("manifest", digest(100 + n)) for n in range(CHILDREN + 9)
    ]
    id_ = await database.write(
        put, manifest(1, references=listing), *(f"t{n}" for n in range(TAGS + 9))
    )
    for number in range(REFERRERS + 9):
        await database.write(put, manifest(1000 + number, subject=digest(1)))
    row = await database.read(versions.one, id_, str(digest(1)))
    assert row is not None
    assert len(tags.texts(row.tags)) == TAGS + 1
    assert len(tags.texts(row.referrers)) == REFERRERS + 1
    assert len(await database.read(versions.children, id_, [row.id])) == CHILDREN + 1
    level = await database.read(attachments.level, id_, [str(digest(1))], 7)
    assert len(level) == 7


async def test_long_annotations_are_left_out_of_a_tree(database: Database) -> None:
    id_ = await database.write(put, manifest(1))
    for number, length in ((2, 10), (3, attachments.ANNOTATIONS)):
        notes = {"k": "x" * length}
        await database.write(put, manifest(number, subject=digest(1), annotations=notes))
    level = await database.read(attachments.level, id_, [str(digest(1))], 9)
    assert [one.annotations is None for one in level] == [False, True]


async def test_moves_are_told_the_newest_first(database: Database) -> None:
    id_ = await database.write(put, manifest(1), "t", "u")
    await database.write(put, manifest(2), "t")
    await database.write(tag_rows.delete, "a", "t", "user:b")
    found = await database.read(history.moves, id_, "t", 2**62, 9)
    ends = [(row.from_digest, row.to_digest, row.actor) for row in found]
    one, two = str(digest(1)), str(digest(2))
    assert ends == [(two, None, "user:b"), (one, two, "user:a"), (None, one, "user:a")]
    assert [(row.from_present, row.to_present) for row in found] == [(1, 0), (1, 1), (0, 1)]
    everything = await database.read(history.moves, id_, None, 2**62, 9)
    assert [row.tag for row in everything] == ["t", "t", "u", "t"]
    older = await database.read(history.moves, id_, None, everything[1].id, 1)
    assert older == everything[2:3]
    assert await database.read(history.pointed_at, id_, "t", one)
    assert not await database.read(history.pointed_at, id_, "u", two)


async def test_who_uses_a_blob_is_told_to_whom_may_see_it(database: Database) -> None:
    layer = digest(50)
    for name in ("a", "b", "open"):
        await database.write(put_manifest, name, manifest(1, references=[("layer", layer)]))
    await database.write(repositories.set_public, "open", public=True)
    users = (await database.read(sharing.users, [str(layer), str(digest(51))]))[str(layer)]
    assert len(users) == 3
    homes = await database.read(sharing.homes, set(users))
    every = await database.read(sharing.seen, sight_of(ANYONE), set(homes.values()))
    assert set(every.values()) == {"a", "b", "open"}
    public = await database.read(sharing.seen, sight_of(NOBODY), set(homes.values()))
    assert set(public.values()) == {"open"}


async def test_a_blob_is_used_as_long_as_another_manifest_lists_it(database: Database) -> None:
    layer: list[tuple[Kind, Digest]] = [("layer", digest(50))]
    for number in (1, 2):
        id_ = await database.write(put, manifest(number, references=layer))
    await database.write(put_manifest, "b", manifest(3, references=layer))
    await database.write(put_blob, "a", 50, 70)
    blob = [str(digest(50))]
    one, two = (
        row.id
        for row in await database.read(removal.by_digest, id_, [str(digest(1)), str(digest(2))])
    )

    async def freed(*ids: int, on_disk: bool) -> tuple[int, int]:
        return await database.read(removal.freed, id_, blob, list(ids), on_disk=on_disk)

    assert await database.read(removal.uncrowded, blob) == blob
    assert await database.read(removal.used, id_, blob, [one]) == blob
    assert await database.read(removal.used, id_, blob, [one, two]) == []
    assert await freed(one, on_disk=False) == (0, 0)
    assert await freed(one, two, on_disk=False) == (1, 70)
    assert await freed(one, two, on_disk=True) == (1, 70)
    await database.write(put_blob, "b", 50, 70)
    assert await freed(one, two, on_disk=False) == (1, 70)
    assert await freed(one, two, on_disk=True) == (0, 0)
