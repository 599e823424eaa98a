"""Every kind of damage is made by hand, found, repaired where it can be, and gone."""

import asyncio
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from kho.oci.digest import Digest
from kho.server.database import audit
from kho.server.database.audit import Filter
from kho.server.database.drivers.sqlite_connection import open_file
from kho.server.registry import fsck
from kho.server.registry.fsck import Check, Finding
from kho.server.resources import Resources
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.oci.samples import encode, image, index

LAYER, OTHER = b"layer" * 100, b"other" * 100
LAYER_DIGEST = Digest.of(LAYER)
LOOSE = Digest.of(b"loose")


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look comes at once."""
    monkeypatch.setattr(fsck, "SETTLE_SECONDS", 0.01)


@pytest.fixture
def resources(registry: Registry) -> Resources:
    """What one worker stands on."""
    found = registry.workers[-1].app.resources
    assert found is not None
    return found


@pytest.fixture
async def stored(registry: Registry) -> Registry:
    """A registry with a bit of everything that is right."""
    first = encode(image(b"{}", LAYER))
    digest = await registry.push_image("a/b", "t1", LAYER)
    await registry.push_image("a/b", "t2", OTHER)
    await registry.push_manifest("a/b", "all", index(first))
    await registry.push_image("a/b", "t2", LAYER, OTHER)  # moves
    await registry.push_image("a/b", "gone", LAYER, annotations={"a": "b"})
    await registry.client.delete("/v2/a/b/manifests/gone")
    absent = {"mediaType": "a/b", "digest": str(LOOSE), "size": 5}
    await registry.push_image("c", "refers", subject=absent)
    await registry.client.post(f"/v2/c/blobs/uploads/?mount={LAYER_DIGEST}&from=a/b")
    await registry.client.patch(await registry.open_upload("c"), b"some bytes")
    await registry.client.delete(await registry.open_upload("c"))
    assert digest == Digest.of(first)
    return registry


async def found(
    resources: Resources, *, repair: bool = False, quick: bool = False, min_age: float = 3600.0
) -> list[Finding]:
    """Everything that a run finds."""
    check = Check(resources, quick=quick, min_age=min_age)
    seen = [finding async for finding in fsck.findings(check)]
    return [await fsck.repaired(check, one, "operator") for one in seen] if repair else seen


def kinds(findings: list[Finding]) -> list[str]:
    """What is wrong, without where."""
    return [finding.kind for finding in findings]


@on_both_databases
async def test_what_is_right_is_left_in_peace(stored: Registry, resources: Resources) -> None:
    check = Check(resources)
    assert [finding async for finding in fsck.findings(check)] == []
    assert check.counted["blobs"] == check.counted["files"] == 3
    assert check.counted["manifests"] == 6
    assert check.counted["tags"] == 4
    assert check.counted["bytes"] == len(b"{}") + len(LAYER) + len(OTHER)
    assert await found(resources, repair=True) == []
    assert (await stored.client.get("/v2/a/b/manifests/all")).status == 200


def sql(registry: Registry, *statements: str) -> None:
    """Change rows as nobody should."""
    with closing(open_file(str(registry.folder.parent / "kho.db"), mode="rw")) as connection:
        for statement in statements:
            connection.execute(statement)


def rewrite(path: Path, content: bytes) -> None:
    """Other bytes under the same name."""
    path.write_bytes(content)


def flip(registry: Registry) -> None:
    rewrite(registry.blob_file(LAYER_DIGEST), b"Layer" + LAYER[5:])


def cut(registry: Registry) -> None:
    os.truncate(registry.blob_file(LAYER_DIGEST), 7)


def remove(registry: Registry) -> None:
    registry.blob_file(LAYER_DIGEST).unlink()


@on_both_databases
@pytest.mark.parametrize("damage", [flip, cut])
async def test_damaged_bytes_are_set_aside_and_a_push_heals(
    stored: Registry, resources: Resources, damage: Callable[[Registry], None]
) -> None:
    damage(stored)
    (finding,) = await found(resources)
    assert (finding.kind, finding.where) == ("blob.damaged", str(LAYER_DIGEST))
    assert stored.blob_file(LAYER_DIGEST).exists()

    assert [one.repaired for one in await found(resources, repair=True)] == [True]
    assert not stored.blob_file(LAYER_DIGEST).exists()
    assert [path.name.split(".")[0] for path in (stored.folder / "quarantine").iterdir()] == [
        f"sha256-{LAYER_DIGEST.hex}"
    ]
    assert (await stored.client.head(f"/v2/a/b/blobs/{LAYER_DIGEST}")).status == 404
    assert kinds(await found(resources, repair=True)) == ["blob.missing"]

    await stored.push_blob("c", LAYER)
    assert await found(resources) == []
    assert (await stored.client.get(f"/v2/a/b/blobs/{LAYER_DIGEST}")).body == LAYER


async def test_what_was_repaired_is_in_the_audit_trail(
    stored: Registry, resources: Resources
) -> None:
    flip(stored)
    await found(resources, repair=True)
    wanted = Filter(actions=("fsck.repair",))
    (event,) = await resources.database.read(audit.find, wanted, 0, 10)
    assert (event.actor, event.target) == ("operator", str(LAYER_DIGEST))
    assert event.details is not None
    assert "blob.damaged" in event.details


async def test_a_quick_look_sees_sizes_only(stored: Registry, resources: Resources) -> None:
    flip(stored)
    assert await found(resources, quick=True) == []
    cut(stored)
    assert kinds(await found(resources, quick=True)) == ["blob.damaged"]


async def test_missing_bytes_name_who_misses_them(stored: Registry, resources: Resources) -> None:
    remove(stored)
    (finding,) = await found(resources, repair=True)
    assert (finding.kind, finding.repaired) == ("blob.missing", False)
    assert "a/b, c" in finding.what


async def test_the_row_of_missing_bytes_that_nobody_has_is_removed(
    registry: Registry, resources: Resources
) -> None:
    await registry.push_blob("a", LAYER)
    await registry.client.delete(f"/v2/a/blobs/{LAYER_DIGEST}")
    assert await found(resources) == []
    remove(registry)
    assert [one.repaired for one in await found(resources, repair=True)] == [True]
    assert await found(resources) == []


def bare_file(registry: Registry, content: bytes) -> Path:
    """A file under the name of the blob `loose`, that no row knows."""
    path = registry.blob_file(LOOSE)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


@on_both_databases
async def test_a_file_without_a_row_is_adopted_once_it_is_old(
    stored: Registry, resources: Resources
) -> None:
    path = bare_file(stored, b"loose")
    assert await found(resources, repair=True) == []
    (finding,) = await found(resources, repair=True, min_age=0)
    assert (finding.kind, finding.where, finding.repaired) == ("blob.orphan", str(path), True)
    assert path.read_bytes() == b"loose"
    assert await found(resources, min_age=0) == []
    assert (await stored.client.head(f"/v2/a/b/blobs/{LOOSE}")).status == 404


async def test_a_damaged_file_without_a_row_goes_aside(
    stored: Registry, resources: Resources
) -> None:
    path = bare_file(stored, b"lo")
    assert [one.repaired for one in await found(resources, repair=True, min_age=0)] == [True]
    assert not path.exists()
    assert await found(resources, min_age=0) == []


async def test_files_that_are_no_blobs_are_told_and_left(
    stored: Registry, resources: Resources
) -> None:
    blobs = stored.folder / "docker/registry/v2/blobs"
    strays = [
        blobs / "note",
        blobs / "sha256" / "note",
        blobs / "sha256" / LAYER_DIGEST.hex[:2] / "note",
        stored.blob_file(LAYER_DIGEST).with_name("data.1"),
        blobs / "md5" / "ab" / "abcd" / "data",
    ]
    for path in strays:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"?")
    told = await found(resources, repair=True, min_age=0)
    assert set(kinds(told)) == {"file.stray"}
    assert len(told) == len(strays)
    assert all(path.exists() for path in strays)


async def test_bytes_of_no_session_are_removed_unless_somebody_writes(
    stored: Registry, resources: Resources
) -> None:
    uploads = stored.folder / "uploads"
    (uploads / "left").write_bytes(b"left")
    (uploads / ".probe-1").write_bytes(b"probe")
    writer = await resources.storage.create("busy", "sha256")
    await writer.write(b"busy")
    assert await found(resources, repair=True) == []
    told = await found(resources, repair=True, min_age=0)
    assert kinds(told) == ["upload.orphan"] * 3
    assert {Path(one.where).name for one in told if one.repaired} == {"left", ".probe-1"}
    await writer.abort()
    assert kinds(await found(resources, repair=True, min_age=0)) == ["upload.orphan"]
    assert await found(resources, min_age=0) == []


@on_both_databases
@pytest.mark.parametrize("age, size", [(3600.0, 5), (0.0, None)])
async def test_a_session_without_its_bytes_is_removed(
    stored: Registry, resources: Resources, age: float, size: int | None
) -> None:
    (path,) = (stored.folder / "uploads").iterdir()
    if size is None:
        path.unlink()
        assert await found(resources) == []  # perhaps it is just becoming a blob
    else:
        os.truncate(path, size)
    (finding,) = await found(resources, repair=True, min_age=age)
    assert (finding.kind, finding.repaired) == ("upload.lost", True)
    assert await found(resources) == []


async def test_a_session_that_became_a_blob_before_a_crash_is_right(
    stored: Registry, resources: Resources
) -> None:
    (path,) = (stored.folder / "uploads").iterdir()
    target = stored.blob_file(Digest.of(b"some bytes"))
    target.parent.mkdir(parents=True)
    path.rename(target)
    assert kinds(await found(resources, min_age=0)) == ["blob.orphan"]


@dataclass(frozen=True)
class Wrong:
    """Rows as they should not be."""

    kinds: tuple[str, ...]
    statements: tuple[str, ...]


ROWS = {
    "a manifest's bytes": Wrong(
        ("manifest.damaged",),
        ("UPDATE manifests SET body = CAST(body || ' ' AS BLOB) WHERE id = 1",),
    ),
    "a manifest's type": Wrong(
        ("manifest.damaged",), ("UPDATE manifests SET media_type = 'a/b' WHERE id = 1",)
    ),
    "a layer": Wrong(
        ("manifest.incomplete",) * 3,
        (f"DELETE FROM repository_blobs WHERE repository_id = 1 AND digest = '{LAYER_DIGEST}'",),
    ),
    "a tag without a manifest": Wrong(
        ("database.damaged", "tag.dangling"),
        ("UPDATE tags SET digest = 'sha256:00' WHERE name = 't2'",),
    ),
    "a tag that moved by itself": Wrong(
        ("tag.history",),
        ("UPDATE tags SET digest = (SELECT digest FROM tags WHERE name = 't1') WHERE name = 't2'",),
    ),
    "a lost tag": Wrong(("tag.lost",), ("DELETE FROM tags WHERE name = 't2'",)),
    "a blob's row": Wrong(
        ("database.damaged", "database.damaged", "link.dangling", "link.dangling", "blob.orphan"),
        (f"DELETE FROM blobs WHERE digest = '{LAYER_DIGEST}'",),
    ),
    "a blob's name": Wrong(
        ("blob.name", "file.stray"), ("INSERT INTO blobs VALUES ('nonsense', 1, 1)",)
    ),
}


@pytest.mark.parametrize("name", ROWS)
async def test_wrong_rows_are_found_and_left(
    stored: Registry, resources: Resources, name: str
) -> None:
    sql(stored, *ROWS[name].statements)
    (stored.folder / "docker/registry/v2/blobs/note").touch()
    wanted = [kind for kind in ROWS[name].kinds if kind not in {"file.stray", "blob.orphan"}]
    assert sorted(kinds(await found(resources))) == sorted(wanted)
    again = await found(resources, repair=True)
    assert not any(one.repaired for one in again)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE manifests SET size = size + 1 WHERE subject_digest IS NOT NULL",
        "UPDATE manifests SET subject_digest = 'x' WHERE subject_digest IS NOT NULL",
        "UPDATE manifests SET subject_digest = 'x' WHERE id = 1",
        "DELETE FROM manifest_references WHERE manifest_id = 1 AND position = 1",
        "UPDATE manifest_references SET digest = 'x' WHERE manifest_id = 1 AND position = 0",
    ],
)
async def test_what_is_recorded_of_a_manifest_is_recorded_again(
    stored: Registry, resources: Resources, statement: str
) -> None:
    refers = f"/v2/c/referrers/{LOOSE}"
    before = (await stored.client.get(refers)).json()
    sql(stored, statement)
    (finding,) = await found(resources, repair=True)
    assert (finding.kind, finding.repaired) == ("manifest.misrecorded", True)
    assert await found(resources) == []
    assert (await stored.client.get(refers)).json() == before


async def test_a_damaged_database_file_is_found(stored: Registry, resources: Resources) -> None:
    sql(stored, "PRAGMA wal_checkpoint(TRUNCATE)")
    path = stored.folder.parent / "kho.db"
    with closing(open_file(str(path), mode="rw")) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'tag_history_repository_id_tag_id_idx'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size + size // 2)
        file.write(os.urandom(size // 2))
    assert "database.damaged" in kinds(await found(resources))


async def test_what_becomes_right_between_two_looks_is_no_finding(
    stored: Registry, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fsck, "SETTLE_SECONDS", 0.5)
    path = bare_file(stored, b"loose")
    running = asyncio.create_task(found(resources, min_age=0))
    await asyncio.sleep(0.2)
    assert not running.done()  # the file is suspect
    await stored.push_blob("a/b", b"loose")
    assert await running == []

    path.unlink()
    running = asyncio.create_task(found(resources))
    await asyncio.sleep(0.2)
    assert not running.done()
    await stored.push_blob("a/b", b"loose")
    assert await running == []


async def test_a_repair_leaves_what_a_push_has_healed(
    stored: Registry, resources: Resources
) -> None:
    flip(stored)
    check = Check(resources)
    (finding,) = [one async for one in fsck.findings(check)]
    await stored.push_blob("c", LAYER)
    assert not (await fsck.repaired(check, finding, "operator")).repaired
    assert stored.blob_file(LAYER_DIGEST).read_bytes() == LAYER
