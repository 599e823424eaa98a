"""The pages of files inside images: folders, names, one file; and their bytes, which go out raw."""

import asyncio
import gzip
import random
import re
from contextlib import AsyncExitStack
from html import unescape

import pytest

from kho.oci.digest import Digest
from kho.server.database import layer_listings
from kho.server.registry import members
from tests.flows.browser import HOST, Browser
from tests.flows.client import Cut
from tests.flows.households import following, seen
from tests.flows.people import resources_of
from tests.flows.pictures import layer, push
from tests.flows.registry import Registry

MIB = 1 << 20
HOSTILE = 'a"><script>alert(1)<!--&amp;'
RED = "\x1b[31mred\u202e"
LOWER = layer(
    ("bin", ("link", "usr/bin")),
    ("etc/", b""),
    ("etc/gone", b"soon"),
    ("etc/motd", b"hello\n"),
    (f"etc/{HOSTILE}", b"<b>bold</b>"),
    (f"etc/{RED}", b"x"),
    ("etc/caf\udce9", b"not UTF-8"),
    ("etc/up", ("link", "../../../../etc/motd")),
    ("etc/round", ("link", "round")),
    ("etc/nowhere", ("link", "/no/where")),
    ("usr/bin/sh", b"#!sh\n"),
    ("usr/bin/hard", ("hard", "usr/bin/sh")),
    ("usr/bin/a%41+b c", b"percent"),
)
UPPER = layer(("etc/.wh.gone", b""), ("etc/motd", b"bye\n"), ("etc/new", b""), ("opt/", b""))


def names(text: str) -> list[str]:
    """The first column, but for the folder above."""
    found = re.findall(r'<th scope="row" class="name">.*?</svg> (?:<a href="[^"]*">)?([^<]+)', text)
    return [unescape(one) for one in found if not one.startswith("../ ")]


def links(text: str) -> dict[str, str]:
    """Where names lead."""
    found = re.findall(r'</svg> <a href="([^"]*)">([^<]+)</a>', text)
    return {unescape(name): unescape(where) for where, name in found}


async def test_all_layers_together(registry: Registry) -> None:
    await push(registry, "app", "1", LOWER, UPPER)
    browser = Browser(registry)
    text = await seen(browser, "/app:1?view=files")
    assert names(text) == ["bin", "etc/", "opt/", "usr/"]
    assert "→ usr/bin" in text
    where = links(text)
    text = await seen(browser, f"/app:1{where['etc/']}")
    shown = ["\\x1b[31mred\\u202e", HOSTILE, "caf\\xe9", "motd", "new", "nowhere", "round", "up"]
    assert names(text) == shown
    assert "<script>" not in text.replace("<script src=", "")
    found = links(text)
    assert (await browser.get(found["caf\\xe9"].replace("/file?", "/raw?"))).body == b"not UTF-8"
    assert "&lt;b&gt;bold&lt;/b&gt;" in await seen(browser, found[HOSTILE])
    assert "bye" in await seen(browser, found["motd"])
    assert "The file is empty" in await seen(browser, found["new"])
    text = await seen(browser, found["up"])
    assert "bye" in text
    assert "/etc/motd" in text
    for wrong in ("nowhere", "round"):
        assert (await browser.get(found[wrong])).status == 404
    text = await seen(browser, "/app:1?view=files&path=usr/bin")
    assert names(text) == ["a%41+b c", "hard", "sh"]
    assert "percent" in await seen(browser, links(text)["a%41+b c"])
    assert "#!sh" in await seen(browser, links(text)["hard"])
    assert 'href="?view=files&amp;path=usr" rel="up"' in text


async def test_links_to_folders_are_walked(registry: Registry) -> None:
    await push(registry, "app", "1", LOWER)
    browser = Browser(registry)
    answer = await browser.get("/app:1/-/file?path=bin")
    assert answer.status == 303
    assert answer["Location"] == "/app:1?view=files&path=bin"
    text = await seen(browser, answer["Location"])
    assert names(text) == ["a%41+b c", "hard", "sh"]
    assert "/app:1/-/file?path=usr/bin/sh" in links(text).values()
    assert (await browser.get("/app:1/-/file?path=etc")).status == 303
    assert (await browser.get("/app:1/-/file?path=")).status == 303
    assert "#!sh" in await seen(browser, "/app:1/-/file?path=bin/sh")


async def test_one_layer_with_marks(registry: Registry) -> None:
    await push(registry, "app", "1", LOWER, UPPER)
    browser = Browser(registry)
    text = await seen(browser, "/app:1?view=files&layer=2")
    assert "changes inside" in text
    assert "+ added" in text
    text = await seen(browser, "/app:1?view=files&layer=2&path=etc")
    assert names(text)[3:6] == ["gone", "motd", "new"]
    assert [text.count(mark) for mark in ("+ added", "− removed", "~ changed")] == [1, 1, 1]
    gone = links(text)["gone"]
    assert gone == "/app:1/-/file?layer=1&path=etc/gone"
    assert "soon" in await seen(browser, gone)
    assert (await browser.get("/app:1/-/file?path=etc/gone")).status == 404
    assert "hello" in await seen(browser, "/app:1/-/file?layer=1&path=etc/motd")
    text = await seen(browser, "/app:1?view=files&layer=2&only=1&path=etc")
    assert names(text) == ["gone", "motd", "new"]
    assert names(await seen(browser, "/app:1?view=files&layer=2&only=1")) == ["etc/", "opt/"]
    nothing = await seen(browser, "/app:1?view=files&layer=2&only=1&path=usr/bin")
    assert names(nothing) == []
    for odd in ("layer=3", "layer=x", "layer=-1", "layer=" + "9" * 30):
        assert len(names(await seen(browser, f"/app:1?view=files&{odd}"))) == 4


async def test_pages_of_a_folder_and_of_a_search(registry: Registry) -> None:
    long = [f"wide/{number:03}-{'é' * 80}" for number in range(450)]
    wide = layer(*[(name, b"x") for name in long], ("other/012-x", b""))
    await push(registry, "app", "1", wide)
    browser = Browser(registry)
    for start, wanted in (
        ("/app:1?view=files&path=wide", [one[5:] for one in long]),
        ("/app:1?view=files&q=%C3%A9%C3%A9", long),
    ):
        text, found = await seen(browser, start), []
        while True:
            found += names(text)
            more = following(text)
            if more is None:
                break
            text = await seen(browser, f"/app:1{more}")
            assert "First page" in text
        assert found == wanted
    assert names(await seen(browser, "/app:1?view=files&q=012-X")) == ["other/012-x"]
    assert len(names(await seen(browser, "/app:1?view=files&q=012-"))) == 2
    assert "No name has “nothing”" in await seen(browser, "/app:1?view=files&q=nothing")


async def test_wrong_paths(registry: Registry) -> None:
    await push(registry, "app", "1", LOWER)
    await push(registry, "other", "1", layer(("secret", b"of another")))
    browser = Browser(registry)
    for path in ("nothing", "etc/motd/x", "..", "etc/nothing", "%00", "x" * 5000, "etc%00"):
        listed = await browser.get(f"/app:1?view=files&path={path}")
        assert listed.status in {400, 404} or path == "..", path
        for kind in ("file", "raw"):
            answer = await browser.get(f"/app:1/-/{kind}?path={path}")
            assert answer.status in {400, 404} or path == "..", (kind, path)
    assert (await browser.get("/app:1/-/raw?path=etc")).status == 404
    assert (await browser.get("/app:1/-/raw?path=etc/../etc/motd")).body == b"hello\n"
    assert (await browser.get("/app:1/-/raw?path=../../etc/motd")).body == b"hello\n"
    assert (await browser.get("/app:1/-/raw?path=secret")).status == 404
    assert (await browser.get("/app:2/-/raw?path=etc/motd")).status == 404


async def test_what_is_text(registry: Registry) -> None:
    big = "é" * (MIB // 2) + "the end"
    contents = {
        "big": b"x" + big.encode(),
        "binary": b"\x7fELF\0\0",
        "utf-16": "text".encode("utf-16"),
        "latin-1": "café".encode("latin-1"),
    }
    await push(registry, "app", "1", layer(*contents.items()))
    browser = Browser(registry)
    for name, content in contents.items():
        answer = await browser.get(f"/app:1/-/file?path={name}")
        assert answer.status == 200
        assert ("no text that could be shown" in browser.text) == (name != "big")
        raw = await browser.get(f"/app:1/-/raw?path={name}")
        assert raw.body == content
    await browser.get("/app:1/-/file?path=big")
    assert "first megabyte" in browser.text
    assert "the end" not in browser.text


async def test_a_download_is_never_shown(registry: Registry) -> None:
    page = b"<script>alert(1)</script>"
    odd = 'we"ird\r\n;name.html'
    await push(registry, "app", "1", layer(("index.html", page), (odd, page), (".hidden", b"")))
    browser = Browser(registry)
    for path, name in (
        ("index.html", "index.html"),
        ("we%22ird%0D%0A;name.html", "we_ird___name.html"),
        (".hidden", "hidden"),
    ):
        answer = await registry.client.head(f"/app:1/-/raw?path={path}", ("Host", HOST))
        assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
        assert answer["Content-Type"] == "application/octet-stream"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert answer["Cache-Control"] == "no-store"
    assert (await browser.get("/app:1/-/raw?path=index.html")).body == page
    # HEAD looks into no layer: not even into one whose bytes are gone.
    value = (await registry.client.get("/v2/app/manifests/1")).json()
    registry.blob_file(value["layers"][0]["digest"]).unlink()
    answer = await registry.client.request(
        "HEAD", "/app:1/-/raw?path=index.html", headers=[("Host", HOST)]
    )
    assert answer["Content-Length"] == str(len(page))
    answer = await browser.get("/app:1/-/raw?path=index.html")
    assert answer.status >= 400
    assert answer["Content-Type"] == "text/html; charset=utf-8"


async def test_a_layer_that_breaks_in_the_middle(registry: Registry) -> None:
    noise = random.Random(1).randbytes(6 * MIB)
    blob = layer(("small", b"1"), ("noise", noise))
    await push(registry, "app", "1", blob)
    file = registry.blob_file(Digest.of(blob))
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    file.write_bytes(bytes(content))
    browser = Browser(registry)
    with pytest.raises(Cut) as cut:
        await browser.get("/app:1/-/raw?path=noise")
    assert 0 < len(cut.value.args[0]) < len(noise)
    assert (await browser.get("/app:1/-/file?path=noise")).status == 404  # put aside


async def test_a_client_that_leaves_frees_its_place(registry: Registry) -> None:
    await push(registry, "app", "1", layer(("zeros", bytes(20 * MIB)), ("one", b"1")))
    slots = resources_of(registry).memory.keep(members.Slots).free
    for _ in range(members.AT_ONCE - 1):
        await slots.acquire()
    async with registry.client.exchange(
        "GET", "/app:1/-/raw?path=zeros", [("Host", HOST)], gated=True
    ) as exchange:
        exchange.send(b"", more=False)
        await exchange.answering()
        assert slots.locked()
        exchange.disconnect()
        exchange.allow(1000)
        await exchange.finished()
        assert exchange.error is not None
    async with asyncio.timeout(10):
        await slots.acquire()


@pytest.mark.settings(http__trusted_proxies="192.0.2.0/24")
async def test_a_caller_has_not_all_places(registry: Registry) -> None:
    await push(registry, "app", "1", layer(("zeros", bytes(20 * MIB)), ("one", b"1")))
    host, address = ("Host", HOST), "/app:1/-/raw?path="
    async with AsyncExitStack() as stack:
        slow = []
        for _ in range(members.OF_ONE):
            exchange = await stack.enter_async_context(
                registry.client.exchange("GET", f"{address}zeros", [host], gated=True)
            )
            exchange.send(b"", more=False)
            await exchange.answering()
            slow.append(exchange)
        for path in (f"{address}one", "/api/v1/repositories/app/-/images/1/file?path=one"):
            refused = await registry.client.get(path, host)
            assert refused.status == 429, path
            assert refused.all("Retry-After") == ["10"], refused
        # An address of its own has places of its own; looks take none of them.
        other = ("X-Forwarded-For", "198.51.100.7")
        assert (await registry.client.get(f"{address}one", host, other)).body == b"1"
        assert (await Browser(registry).get("/app:1/-/file?path=one")).status == 200
        slow[0].disconnect()
        slow[0].allow(1000)
        await slow[0].finished()
        assert (await registry.client.get(f"{address}one", host)).body == b"1"


async def test_too_many_at_once(registry: Registry) -> None:
    await push(registry, "app", "1", LOWER)
    slots = resources_of(registry).memory.keep(members.Slots)
    slots.patience = 0.05
    for _ in range(members.AT_ONCE):
        await slots.free.acquire()
    browser = Browser(registry)
    assert (await browser.get("/app:1/-/raw?path=etc/motd")).status == 429
    assert "too many files" in browser.text
    # Who downloads slowly keeps nobody from looking.
    assert (await browser.get("/app:1/-/file?path=etc/motd")).status == 200
    for _ in range(members.LOOKS):
        await slots.looks.acquire()
    assert (await browser.get("/app:1/-/file?path=etc/motd")).status == 429
    for _ in range(members.AT_ONCE):
        slots.free.release()
    assert (await browser.get("/app:1/-/raw?path=etc/motd")).status == 200


@pytest.mark.settings(index__files=False)
async def test_listing_is_switched_off(registry: Registry) -> None:
    await push(registry, "app", "1", LOWER, wait=False)
    text = await seen(Browser(registry), "/app:1?view=files")
    assert "switched off here" in text
    assert "every 2s" not in text
    assert "no such folder" not in text
    assert "As containers see it" not in await seen(Browser(registry), "/app:1")


async def test_layers_that_are_still_listed(registry: Registry) -> None:
    database = resources_of(registry).database
    await database.write(layer_listings.request, [Digest.of(UPPER)])
    assert await database.write(layer_listings.lease, 60_000)  # somebody is at it
    await push(registry, "app", "1", UPPER, wait=False)
    browser = Browser(registry)
    for path in ("", "&path=etc", "&path=etc&layer=1", "&q=motd"):
        text = await seen(browser, f"/app:1?view=files{path}")
        assert "One layer is still being listed" in text
        assert 'data-hx-trigger="every 2s"' in text
        assert "no such folder" not in text
        assert "No name" not in text
    assert (await browser.get("/app:1/-/file?path=etc/motd")).status == 404
    text = await seen(browser, "/app:1")
    assert "As containers see it" not in text
    assert ">Files</a>" in text


async def test_refused_layers_say_why(registry: Registry) -> None:
    bad = gzip.compress(b"this is no tar " * 100)
    await push(registry, "app", "1", bad, UPPER)
    browser = Browser(registry)
    text = await seen(browser, "/app:1?view=files")
    assert "cannot be listed" in text
    assert names(text) == ["etc/", "opt/"]
    assert "every 2s" not in text
    assert "As containers see it" not in await seen(browser, "/app:1")
    assert (await browser.get("/app:1?view=files&path=nothing")).status == 404
