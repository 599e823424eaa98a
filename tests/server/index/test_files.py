"""Files of an image: a directory, what a path leads to, the bytes of a file."""

import pytest

from kho.oci.digest import Digest
from kho.oci.errors import BlobUnknown
from kho.server.index.files import stack as stacks
from kho.server.index.files.browse import directory, layer_directory
from kho.server.index.files.changes import Change
from kho.server.index.files.find import NotThere, content_of, find
from kho.server.index.files.search import search
from kho.server.index.files.stack import Stack, State, stack_of
from kho.server.index.files.waste import efficiency
from kho.server.inspection.packed import Kind
from kho.server.policy.access import ANYONE, Caller
from kho.server.registry import members
from kho.server.resources import Resources
from tests.client.layers import device, fifo, file, folder, hardlink, layer, symlink
from tests.flows.databases import on_both_databases
from tests.flows.registry import Registry
from tests.server.index.layered import REPOSITORY, listed, resources_of, settled

LOWER = layer(
    folder("etc", mode=0o750),
    file("etc/passwd", b"root", mode=0o600, uid=3, gid=4, mtime=1_700_000_000.7),
    file("etc/gone", b"12345678"),
    file("usr/lib/one", b"1"),
    file("usr/lib/two", b"22"),
    symlink("lib", "usr/lib"),
    file("old/deep/file", b"xyz"),
    hardlink("etc/same", "etc/passwd"),
)
UPPER = layer(
    file("etc/passwd", b"root2", mode=0o600),
    file("etc/.wh.gone"),
    file("etc/new", b"n"),
    file("usr/lib/.wh..wh..opq"),
    file("usr/lib/three", b"333"),
    file(".wh.old"),
)


async def names(resources: Resources, stack: Stack, path: bytes = b"") -> dict[str, str]:
    page = await directory(resources, stack, path, limit=1000)
    assert page.next is None
    return {one.entry.name.decode(): one.change.value for one in page.items}


async def read(resources: Resources, stack: Stack, path: bytes) -> bytes:
    found = await content_of(resources, stack, path)
    taken = await members.text(resources, REPOSITORY, found.digest, found.entry.number)
    assert taken is not None
    assert taken[1] == found.entry.size
    return taken[0]


@on_both_databases
async def test_layers_on_top_of_each_other(registry: Registry) -> None:
    stack = await listed(registry, LOWER, UPPER)
    resources = resources_of(registry)
    assert [(one.state, one.files, one.total_size) for one in stack.layers] == [
        (State.DONE, 12, 18),
        (State.DONE, 6, 9),
    ]
    assert await names(resources, stack) == {"etc": "", "lib": "", "old": "removed", "usr": ""}
    assert await names(resources, stack, b"etc") == {
        "gone": "removed",
        "new": "added",
        "passwd": "modified",
        "same": "",
    }
    assert await names(resources, stack, b"usr/lib") == {
        "one": "removed",
        "three": "added",
        "two": "removed",
    }
    assert await names(resources, stack, b"old/deep") == {"file": "removed"}
    only = await directory(resources, stack, changes_only=True)
    assert [one.entry.name for one in only.items] == [b"etc", b"old", b"usr"]
    with pytest.raises(NotThere):
        await directory(resources, stack, b"nowhere")


@on_both_databases
async def test_what_an_entry_says(registry: Registry) -> None:
    more = layer(device("dev/null"), fifo("dev/pipe"), file(b"caf\xe9".decode("latin-1"), b"!"))
    stack = await listed(registry, LOWER, more)
    resources = resources_of(registry)
    passwd = (await find(resources, stack, b"/etc/passwd")).entry
    assert passwd[:7] == (b"passwd", Kind.FILE, 0o600, 3, 4, 4, 1_700_000_000)
    assert passwd.sha256.hex() == Digest.of(b"root").hex
    kinds = {
        one: (await find(resources, stack, one, follow=False)).entry
        for one in (b"etc", b"usr", b"lib", b"etc/same", b"dev/null", b"dev/pipe")
    }
    assert {one: entry.kind for one, entry in kinds.items()} == {
        b"etc": Kind.DIRECTORY,
        b"usr": Kind.IMPLIED,
        b"lib": Kind.SYMLINK,
        b"etc/same": Kind.HARDLINK,
        b"dev/null": Kind.CHARACTER,
        b"dev/pipe": Kind.FIFO,
    }
    assert (kinds[b"etc"].mode, kinds[b"etc"].size) == (0o750, 12)
    assert (kinds[b"lib"].link, kinds[b"dev/null"].link) == (b"usr/lib", b"1:3")


async def test_what_one_layer_has(registry: Registry) -> None:
    stack = await listed(registry, LOWER, UPPER)
    resources = resources_of(registry)
    raw = await layer_directory(resources, stack, 1, b"etc")
    assert [(one.name, one.kind) for one in raw.items] == [
        (b"gone", Kind.WHITEOUT),
        (b"new", Kind.FILE),
        (b"passwd", Kind.FILE),
    ]
    assert not raw.opaque
    assert (await layer_directory(resources, stack, 1, b"usr/lib")).opaque
    with pytest.raises(NotThere):
        await layer_directory(resources, stack, 1, b"old")


@on_both_databases
async def test_the_bytes_of_a_file(registry: Registry) -> None:
    stack = await listed(registry, LOWER, UPPER)
    resources = resources_of(registry)
    assert await read(resources, stack, b"etc/passwd") == b"root2"
    assert await read(resources, stack, b"etc/same") == b"root"
    assert await read(resources, stack, b"/lib/three") == b"333"
    assert await read(resources, stack.below(1), b"lib/../lib/one") == b"1"
    for path in (b"etc/gone", b"lib/one", b"etc", b"", b"etc/passwd/x", b"..", b"nowhere"):
        with pytest.raises(NotThere):
            await content_of(resources, stack, path)


async def test_links_stay_in_the_image_and_come_to_an_end(registry: Registry) -> None:
    stack = await listed(
        registry,
        layer(
            file("etc/passwd", b"image"),
            symlink("out", "../../../../etc/passwd"),
            symlink("far", "/etc/passwd"),
            symlink("loop", "loop"),
            symlink("up", ".."),
            hardlink("hard", "../../etc/passwd"),
            hardlink("self", "self"),
        ),
    )
    resources = resources_of(registry)
    for path in (b"out", b"far", b"hard", b"up/up/etc/passwd"):
        assert await read(resources, stack, path) == b"image"
    for path in (b"loop", b"self", b"up"):
        with pytest.raises(NotThere):
            await content_of(resources, stack, path)


async def test_text_is_told_from_other_bytes() -> None:
    assert members.is_text("Việt".encode())
    assert members.is_text("Việ".encode()[:-1])
    assert members.is_text(b"")
    assert not members.is_text(b"a\0b")
    assert not members.is_text(b"caf\xe9 au lait")


async def test_a_layer_of_another_repository_is_unknown(registry: Registry) -> None:
    stack = await listed(registry, LOWER)
    resources = resources_of(registry)
    await registry.push_blob("other", b"something")
    with pytest.raises(BlobUnknown):
        await stack_of(resources, "other", [stack.layers[0].digest])
    with pytest.raises(BlobUnknown):
        async with members.member(resources, "other", stack.layers[0].digest, 1, Caller(ANYONE)):
            pass


@on_both_databases
async def test_a_page_of_a_large_directory(registry: Registry) -> None:
    many = layer(*[file(f"d/{number:05}", b"x") for number in range(2500)])
    upper = layer(file("d/.wh.00007"), file("d/00008", b"yy"), file("d/01000x"), file("d/zz"))
    stack = await listed(registry, many, upper)
    resources = resources_of(registry)
    found: dict[bytes, Change] = {}
    behind: bytes | None = b""
    pages = 0
    while behind is not None:
        page = await directory(resources, stack, b"d", behind=behind, limit=700)
        assert len(page.items) == 700 or page.next is None
        found |= {one.entry.name: one.change for one in page.items}
        behind = page.next
        pages += 1
    assert pages == 4
    assert list(found) == sorted(found)
    assert len(found) == 2502
    changed = {name: change.value for name, change in found.items() if change is not Change.NONE}
    assert changed == {
        b"00007": "removed",
        b"00008": "modified",
        b"01000x": "added",
        b"zz": "added",
    }
    raw = await layer_directory(resources, stack, 0, b"d", behind=b"00998", limit=5)
    assert [one.name for one in raw.items] == [b"00999", b"01000", b"01001", b"01002", b"01003"]


@on_both_databases
async def test_names_are_searched(registry: Registry) -> None:
    stack = await listed(registry, LOWER, UPPER)
    resources = resources_of(registry)

    async def paths(text: str, limit: int = 100) -> list[bytes]:
        found: list[bytes] = []
        behind: bytes | None = b""
        while behind is not None:
            page = await search(resources, stack, text, behind=behind, limit=limit)
            found += [one.path for one in page.items]
            behind = page.next
        return found

    assert await paths("E") == [b"etc", b"etc/new", b"etc/same", b"usr/lib/three"]
    assert await paths("E", limit=1) == await paths("E")
    assert await paths("lib") == [b"lib", b"usr/lib"]
    assert await paths("lib/th") == [b"usr/lib/three"]
    assert await paths("one") == []


@on_both_databases
async def test_bytes_that_nobody_sees(registry: Registry) -> None:
    stack = await listed(registry, LOWER, UPPER)
    found = await efficiency(resources_of(registry), stack)
    assert (found.stored, found.seen, found.wasted_size) == (27, 9, 18)
    assert {one.path: one.size for one in found.wasted} == {
        b"etc/gone": 8,
        b"etc/passwd": 4,
        b"old": 3,
        b"usr/lib/two": 2,
        b"usr/lib/one": 1,
    }
    assert found.complete


async def test_layers_that_nobody_asked_for_are_asked_for(registry: Registry) -> None:
    await registry.push_blob(REPOSITORY, LOWER)
    resources = resources_of(registry)
    stack = await stack_of(resources, REPOSITORY, [Digest.of(LOWER)])
    assert [one.state for one in stack.unlisted] == [State.UNASKED]
    assert await stacks.ensure(resources, stack)
    stack = await settled(resources, [Digest.of(LOWER)])
    assert not await stacks.ensure(resources, stack)
    assert await names(resources, stack, b"old/deep") == {"file": "added"}
