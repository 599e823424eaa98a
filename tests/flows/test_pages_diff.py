"""The page that compares two images, and the one that compares a file of both."""

import asyncio
import re
from html import unescape

from kho.oci.digest import Digest
from kho.oci.media_types import OCI_MANIFEST
from kho.server.web.ui.images import lines
from tests.flows.browser import Browser
from tests.flows.households import following, seen
from tests.flows.pictures import config, layer, push
from tests.flows.registry import Registry
from tests.oci.samples import descriptor, image, index

BASE = layer(("etc/", b""), ("etc/motd", b"hello\n"), ("big", b"x" * 300_000), ("elf", b"\0a"))
TEXT = b"".join(b"line %d\n" % number for number in range(40))
ONE = layer(("app/conf", TEXT), ("app/gone", b"soon\n"), ("app/link", ("link", "conf")))
TWO = layer(
    ("app/conf", TEXT.replace(b"line 20\n", b"line <twenty>\n")),
    ("app/new", b"new\n"),
    ("app/link", ("link", "new")),
    ("big", b"y" * 300_000),
    ("elf", b"\0b"),
)


def rows(text: str) -> dict[str, str]:
    """Paths that differ, and where they lead."""
    files = text.partition('<caption class="unseen">Files')[2]
    found = re.findall(r'class="name break">(?:<a href="([^"]*)">)?([^<]+)', files)
    return {unescape(name): unescape(where) for where, name in found}


async def test_two_tags(registry: Registry) -> None:
    one = await push(
        registry, "app", "1", BASE, ONE, settings=config("a", "b", env=("TOKEN=hunter22hunter",))
    )
    two = await push(
        registry, "app", "2", BASE, TWO, settings=config("a", "b", env=("TOKEN=other22hunter",))
    )
    browser = Browser(registry)
    text = await seen(browser, "/app/-/diff?a=1&b=2")
    assert "hunter" not in text
    assert text.count("in both") == 1
    assert "env.TOKEN" in text
    found = rows(text)
    assert list(found) == ["app/conf", "app/gone", "app/link", "app/new", "big", "elf"]
    assert found["app/conf"] == "/app/-/diff/file?a=1&b=2&path=app/conf"
    assert "soon" in await seen(browser, found["app/gone"])
    assert "new" in await seen(browser, found["app/new"])
    assert rows(await seen(browser, f"/app/-/diff?a={one}&b={two}")).keys() == found.keys()
    assert rows(await seen(browser, "/app/-/diff?tag=2&tag=1")) == found
    turned = re.search(r'href="(\?[^"]+)"><svg[^>]*><use href="#i-arrow-up-down"', text)
    assert turned
    text = await seen(browser, f"/app/-/diff{unescape(turned[1])}")
    assert "+ added" in text.partition("app/gone")[2][:200]
    text = await seen(browser, f"/app/-/diff?a=1&b={one}")
    assert "Both are the same image" in text
    assert rows(text) == {}


async def test_what_cannot_be_compared_is_said(registry: Registry) -> None:
    await push(registry, "app", "1", BASE)
    browser = Browser(registry)
    text = await seen(browser, "/app/-/diff")
    assert "Name two tags or digests" in text
    assert 'value="1"' in await seen(browser, "/app/-/diff?a=1")
    for other in ("2", f"sha256:{'0' * 64}"):
        answer = await browser.get(f"/app/-/diff?a=1&b={other}")
        assert answer.status == 404
        assert f"There is no image “{other}”" in browser.text
        assert 'name="a" value="1"' in browser.text
        assert f'name="b" value="{other}"' in browser.text
    for other in ("a b", "sha256:x", "%22%3E%3Cscript%3E", "-", "1&platform=//", "x" * 300):
        answer = await browser.get(f"/app/-/diff?a=1&b={other}")
        assert answer.status in {400, 404}, other
        assert 'name="a" value="1"' in browser.text
        assert (await browser.get(f"/app/-/diff/file?a=1&b={other}&path=big")).status in {400, 404}
    assert (await browser.get("/app/-/diff/file?a=1&b=1&path=nothing")).status == 404
    assert (await browser.get("/app/-/diff/file?a=1&b=1")).status == 404
    assert (await browser.get("/app/-/diff/file?a=&b=1&path=big")).status in {400, 404}


async def test_one_file_of_both(registry: Registry) -> None:
    await push(registry, "app", "1", BASE, ONE)
    await push(registry, "app", "2", BASE, TWO)
    browser = Browser(registry)
    page = "/app/-/diff/file?a=1&b=2&path="
    text = await seen(browser, f"{page}app/conf")
    assert "<del>-line 20\n</del><ins>+line &lt;twenty&gt;\n</ins> line 21" in text
    assert "line 24" not in text
    assert "<b>18 → 18" in text
    text = await seen(browser, f"{page}app/link")
    assert "-→ conf" in text
    assert "+→ new" in text
    text = await seen(browser, f"{page}big")
    assert "too large" in text
    assert "300 kB" in text
    assert "it is no text" in await seen(browser, f"{page}elf")
    assert "+new" in await seen(browser, f"{page}app/new")
    assert "The text is the same" in await seen(browser, f"{page}etc/motd")
    assert "it is a folder" in await seen(browser, f"{page}etc")


async def test_images_of_platforms_and_artifacts(registry: Registry) -> None:
    await push(registry, "app", "amd", BASE, settings=config("x"))
    await push(registry, "app", "arm", BASE, ONE, settings=config("x", architecture="arm64"))
    offers = []
    for tag, architecture in (("amd", "amd64"), ("arm", "arm64")):
        body = (await registry.client.get(f"/v2/app/manifests/{tag}")).body
        platform = {"os": "linux", "architecture": architecture}
        offers.append(descriptor(body, OCI_MANIFEST, platform=platform))
    await registry.push_manifest("app", "all", index() | {"manifests": offers})
    await registry.push_manifest("app", "fewer", index() | {"manifests": offers[:1]})
    await registry.push_blob("app", b"chart")
    await registry.push_blob("app", b"{}")
    chart = image() | {
        "config": descriptor(b"{}", "application/vnd.cncf.helm.config.v1+json"),
        "layers": [descriptor(b"chart", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")],
    }
    await registry.push_manifest("app", "chart", chart)
    browser = Browser(registry)
    assert "Different platforms" in await seen(browser, "/app/-/diff?a=amd&b=arm")
    # The index is asked for the platform of the other one.
    text = await seen(browser, "/app/-/diff?a=arm&b=all")
    assert "Different platforms" not in text
    assert rows(text) == {}
    text = await seen(browser, "/app/-/diff?a=all&b=fewer")
    assert "Removed platforms" in text
    text = await seen(browser, "/app/-/diff?a=all&b=all&platform=linux/arm64")
    assert "<option selected>linux/arm64" in text
    for pair in ("a=chart&b=chart", "a=chart&b=amd", "a=amd&b=chart"):
        text = await seen(browser, f"/app/-/diff?{pair}")
        assert "<h3>Files" not in text
    assert (await browser.get("/app/-/diff/file?a=amd&b=chart&path=big")).status == 404


async def test_many_layers_and_files(registry: Registry) -> None:
    names = [f"wide/{number:03}-{'ü' * 60}" for number in range(450)]
    first = layer(*[(name, b"1") for name in names])
    second = layer(*[(name, b"22") for name in names])
    shared = [layer((f"f{number}", b"x")) for number in range(9)]
    await push(registry, "app", "1", *shared, first)
    await push(registry, "app", "2", *shared, second)
    browser = Browser(registry)
    text = await seen(browser, "/app/-/diff?a=1&b=2")
    found: list[str] = []
    assert "9 shared layers" in text
    while True:
        found += rows(text)
        more = following(text)
        if more is None:
            break
        text = await seen(browser, f"/app/-/diff{more}")
    assert found == names


async def test_layers_that_are_not_listed(registry: Registry) -> None:
    await push(registry, "app", "1", b"no tar at all", BASE)
    await push(registry, "app", "2", BASE)
    text = await seen(Browser(registry), "/app/-/diff?a=1&b=2")
    assert "The files of one layer are not known" in text
    digest = Digest.of(b"no tar at all")
    assert str(digest)[7:19] in text


def shown(a: str, b: str) -> list[str]:
    """Lines as they are shown."""
    return [sign + text for sign, text in asyncio.run(lines.compared(a, b))]


def test_texts_are_compared_by_lines() -> None:
    assert shown("", "") == []
    assert shown("a\nb\n", "a\nb\n") == []
    assert shown("a\n", "") == ["@1 → 1", "-a"]
    assert shown("", "a") == ["@1 → 1", "+a ␄"]
    assert shown("a\nb\n", "a\nb") == ["@1 → 1", " a", "-b", "+b ␄"]
    assert shown("a\r\n", "a\n") == ["@1 → 1", "-a␍", "+a"]
    assert shown("a\nb\nc\n", "a\nx\nc\ny\n") == ["@1 → 1", " a", "-b", "+x", " c", "+y"]
    far = "".join(f"{number}\n" for number in range(30))
    found = shown(far, far.replace("\n5\n", "\n").replace("\n25\n", "\nx\ny\n"))
    assert [one for one in found if one[0] != " "] == [
        *("@3 → 3", "-5"),
        *("@23 → 22", "-25", "+x", "+y"),
    ]


def test_texts_that_have_nothing_in_common_are_told_quickly() -> None:
    one = "".join(f"{number}\n" for number in range(20_000))
    other = "".join(f"x{number}\n" for number in range(20_000))
    found = shown(f"same\n{one}same\n", f"same\n{other}same\n")
    assert len(found) == lines.MOST
    assert found[1] == " same"
    assert shown("a\n" * 60_000 + "b\n", "c\n" + "a\n" * 60_000)[1] == "+c"
