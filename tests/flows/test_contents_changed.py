"""Images compared, tags rolled back, tags and manifests deleted together, and who may look."""

import pytest

from kho.oci.digest import Digest
from kho.oci.errors import (
    Denied,
    InvalidRequest,
    ManifestUnknown,
    NameUnknown,
    PreconditionFailed,
)
from kho.oci.media_types import OCI_MANIFEST
from kho.server.index.catalogue import activity, history, tags
from kho.server.index.catalogue.tags import TagQuery
from kho.server.policy.access import ANYONE, NOBODY, Caller
from kho.server.registry import deletion
from kho.server.registry.contents import comparison
from kho.server.registry.contents.comparison import Change
from kho.server.registry.deletion import Doomed
from kho.server.registry.rollback import roll_back
from tests.flows.contents import SIGNATURE, config, listing, push, reader
from tests.flows.databases import on_both_databases
from tests.flows.people import resources_of
from tests.flows.registry import Registry
from tests.oci.samples import descriptor

ME = Caller(ANYONE)


@on_both_databases
async def test_two_images_are_compared(registry: Registry) -> None:
    resources = resources_of(registry)
    await push(registry, "a", "1", config("A=1", "B=1", "KEY_OF=abcdef1"), b"base", b"old")
    await push(
        registry, "a", "2", config("A=1", "C=2", "KEY_OF=abcdef2", created="now"), b"base", b"newer"
    )
    found = await comparison.compare(resources, "a", "1", "2")
    assert (found.shared_bytes, found.removed_bytes, found.added_bytes) == (4, 3, 5)
    assert [(one.where, one.size) for one in found.layers] == [("both", 4), ("a", 3), ("b", 5)]
    assert found.config[0] == Change("created", "", None, "now", 0)
    assert [(one.name, one.a is None, one.b is None) for one in found.config[1:]] == [
        ("B", False, True),
        ("KEY_OF", False, False),
        ("C", True, False),
    ]
    assert "abcdef" not in repr(found)
    same = await comparison.compare(resources, "a", "1", "1")
    assert (same.same, same.config, same.size_change) == (True, (), 0)


async def test_indexes_are_compared_at_the_same_platform(registry: Registry) -> None:
    resources = resources_of(registry)
    await listing(registry, "linux/arm64", "linux/s390x")
    first = (await registry.client.get("/v2/a/manifests/all"))["Docker-Content-Digest"]
    await listing(registry, "linux/amd64", "linux/arm64")
    found = await comparison.compare(resources, "a", Digest.parse(first), "all")
    assert (found.a.platform, found.b.platform) == ("linux/arm64", "linux/arm64")
    assert found.platforms_both == ("linux/arm64",)
    assert (found.platforms_a, found.platforms_b) == (("linux/s390x",), ("linux/amd64",))


@on_both_databases
async def test_a_tag_is_rolled_back(registry: Registry) -> None:
    resources = resources_of(registry)
    old = await registry.push_image("a", "1", b"old")
    new = await registry.push_image("a", "1", b"new")
    with pytest.raises(PreconditionFailed):
        await roll_back(resources, "a", "1", old, ME, str(old))
    done = await roll_back(resources, "a", "1", old, ME, str(new))
    assert (done.from_digest, done.to_digest) == (str(new), str(old))
    answer = await registry.client.get("/v2/a/manifests/1")
    assert answer["Docker-Content-Digest"] == str(old)
    moves = (await history.page(resources, "a", tag="1")).moves
    assert [(one.from_digest, one.to_digest) for one in moves[:1]] == [(str(new), str(old))]
    events = (await activity.page(resources, ANYONE, "a", which="pushes")).events
    assert (events[0].action, events[0].details["from"]) == ("tag.restore", str(new))
    await registry.client.delete("/v2/a/manifests/1")
    assert (await roll_back(resources, "a", "1", new, ME, "")).from_digest is None


async def test_a_tag_is_not_rolled_back_to_what_it_never_was(registry: Registry) -> None:
    resources = resources_of(registry)
    old = await registry.push_image("a", "1", b"old")
    await registry.push_image("a", "1", b"new")
    other = await registry.push_image("a", "2", b"other")
    for principal in (reader("a"), reader("b", role="maintainer"), NOBODY):
        with pytest.raises(Denied):
            await roll_back(resources, "a", "1", old, Caller(principal))
    with pytest.raises(ManifestUnknown, match="never"):
        await roll_back(resources, "a", "1", other, ME)
    await registry.client.delete(f"/v2/a/manifests/{old}")
    with pytest.raises(ManifestUnknown, match="gone"):
        await roll_back(resources, "a", "1", old, ME)
    with pytest.raises(NameUnknown):
        await roll_back(resources, "never/was", "1", old, ME)


async def test_activity_is_for_those_who_answer_for_it(registry: Registry) -> None:
    resources = resources_of(registry)
    await registry.push_image("a", "1")
    await registry.client.delete("/v2/a/manifests/1")
    for principal in (reader("a"), reader("a", role="writer"), reader("b", role="maintainer")):
        with pytest.raises(Denied):
            await activity.page(resources, principal, "a")
    maintainer = reader("a", role="maintainer")
    page = await activity.page(resources, maintainer, "a", limit=1)
    assert [one.action for one in page.events] == ["tag.delete"]
    older = await activity.page(resources, maintainer, "a", cursor=page.next)
    assert [one.action for one in older.events] == ["manifest.push"]
    deletions = await activity.page(resources, maintainer, "a", which="deletions")
    assert [one.action for one in deletions.events] == ["tag.delete"]
    assert (await activity.page(resources, maintainer, "a", which="refusals")).events == ()


@on_both_databases
async def test_what_deleting_would_do(registry: Registry) -> None:
    resources = resources_of(registry)
    one = await push(registry, "a", "1", config(), b"base", b"one")
    two = await push(registry, "a", "2", config(), b"base", b"second")
    await registry.client.put("/v2/a/manifests/same", one)
    await push(registry, "b", "1", config(), b"base")
    signature = await push(
        registry, "a", None, b"{}", artifactType=SIGNATURE, subject=descriptor(two, OCI_MANIFEST)
    )
    found = await deletion.impact(resources, "a", ["1", "nope"], [])
    assert found.unknown == ("nope",)
    assert [left.tags for left in found.held] == [("same",)]
    assert (found.loose, found.freed_here) == ((), 0)
    found = await deletion.impact(resources, "a", ["1", "same"], [])
    assert found.loose == (str(Digest.of(one)),)
    assert found.freed_here == len(one) + 3
    found = await deletion.impact(resources, "a", ["1"], [Digest.of(one)])
    assert (found.other_tags, found.loose) == (("same",), ())
    found = await deletion.impact(resources, "a", ["2"], [])
    assert found.orphans == (str(Digest.of(signature)),)
    assert found.freed_here == len(two) + len(signature) + 6 + 2  # {} is its config
    found = await deletion.impact(resources, "a", ["1", "2", "same"], [], principal=ANYONE)
    everything = len(one) + len(two) + len(signature) + 3 + 6 + 2 + 4 + len(config())
    assert found.freed_here == everything
    assert found.freed_on_disk == everything - 4 - len(config())  # b has base and config
    assert found.complete
    hidden = await deletion.impact(resources, "a", ["2"], [], principal=reader("a"))
    assert hidden.freed_on_disk is None
    late = await deletion.impact(resources, "a", ["2"], [], seconds=-1)
    assert (late.complete, late.blobs) == (False, 0)


async def test_an_index_holds_its_images(registry: Registry) -> None:
    resources = resources_of(registry)
    found = await listing(registry, "linux/amd64", "linux/arm64")
    child = Digest.of(found["linux/amd64"])
    await registry.client.put("/v2/a/manifests/amd", found["linux/amd64"])
    top = (await registry.client.get("/v2/a/manifests/all"))["Docker-Content-Digest"]
    seen = await deletion.impact(resources, "a", ["amd"], [])
    assert [(left.digest, left.indexes) for left in seen.held] == [(str(child), (top,))]
    seen = await deletion.impact(resources, "a", [], [child])
    assert (seen.broken_indexes, seen.other_tags) == ((top,), ("amd",))
    seen = await deletion.impact(resources, "a", ["all"], [])
    assert set(seen.loose) == {top, str(Digest.of(found["linux/arm64"]))}


@on_both_databases
async def test_many_are_deleted_at_once(registry: Registry) -> None:
    resources = resources_of(registry)
    one = await registry.push_image("a", "1", b"one")
    two = await registry.push_image("a", "2", b"two")
    three = await registry.push_image("a", "3", b"three")
    doomed = [Doomed("1", str(one)), Doomed("2", str(one)), Doomed("nope")]
    for principal in (reader("a"), reader("a", role="writer")):
        with pytest.raises(Denied):
            await deletion.delete(resources, "a", doomed, [], Caller(principal))
    done = await deletion.delete(resources, "a", doomed, [three, Digest.of(b"x")], ME)
    assert [one.result for one in done] == ["deleted", "moved", "unknown", "deleted", "unknown"]
    page = await tags.page(resources, "a", TagQuery())
    assert [(one.name, one.digest) for one in page.tags] == [("2", str(two))]
    gone = [(one.tag, one.to_digest) for one in (await history.page(resources, "a")).moves[:2]]
    assert gone == [("3", None), ("1", None)]
    events = await activity.page(resources, ANYONE, "a", which="deletions")
    assert {one.action for one in events.events} == {"tag.delete", "manifest.delete"}
    with pytest.raises(InvalidRequest):
        await deletion.delete(resources, "a", [], [], ME)
