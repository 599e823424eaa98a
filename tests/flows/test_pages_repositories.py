"""Pages of repositories: the list, the search, one repository, storage; who sees what of them."""

import json
from collections.abc import Mapping
from html import escape, unescape

import pytest

from tests.flows.browser import Browser
from tests.flows.databases import on_both_databases
from tests.flows.households import Household, following, rows, seen
from tests.flows.registry import Registry
from tests.oci.samples import image, index

HOSTILE = "\"><script>alert('x')</script>&lt;<img src=x onerror=y>"
LABEL = "org.opencontainers.image.description"


async def push(
    registry: Registry,
    name: str,
    *tags: str,
    labels: Mapping[str, str] | None = None,
    architecture: str = "amd64",
    layer: bytes = b"layer",
) -> str:
    """Push an image with labels; its digest."""
    config = {"os": "linux", "architecture": architecture, "config": {"Labels": labels or {}}}
    content = json.dumps(config).encode()
    for blob in (content, layer):
        await registry.push_blob(name, blob)
    for tag in tags or ("latest",):
        digest = await registry.push_manifest(name, tag, image(content, layer))
    return str(digest)


async def test_an_empty_registry_says_how_to_push(registry: Registry) -> None:
    browser = Browser(registry)
    text = await seen(browser, "/")
    assert "docker push 127.0.0.1:5000/library/alpine:latest" in text
    answer = await browser.submit("/-/preferences", runtime="podman")
    assert answer["Location"] == "/"
    text = await seen(browser, "/")
    assert "podman push --tls-verify=false 127.0.0.1:5000/library/alpine:latest" in text
    assert 'value="podman" aria-pressed="true"' in text
    for runtime in ("nerdctl", "skopeo", "kho", "crictl", "kubernetes"):
        await browser.submit("/-/preferences", runtime=runtime)
        assert "127.0.0.1:5000/library/alpine:latest" in await seen(browser, "/")


@on_both_databases
async def test_a_list_is_sorted_filtered_and_grouped(registry: Registry) -> None:
    await push(registry, "alpine", layer=b"a" * 5000)
    await push(registry, "team/app", "1", "2", architecture="arm64", labels={LABEL: "Bakes bread"})
    await push(registry, "team/deep/er", layer=b"c" * 9000)
    for _ in range(3):
        await registry.client.get("/v2/team/app/manifests/1")
    browser = Browser(registry)
    text = await seen(browser, "/")
    assert rows(text) == ["alpine", "team/app", "team/deep/er"]
    assert 'aria-sort="ascending"' in text
    assert "Bakes bread" in text
    assert "linux/arm64" in text
    assert rows(await seen(browser, "/?sort=name&order=down")) == [*reversed(rows(text))]
    assert rows(await seen(browser, "/?sort=size"))[0] == "team/deep/er"
    assert rows(await seen(browser, "/?sort=size&order=up"))[-1] == "team/deep/er"
    assert rows(await seen(browser, "/?namespace=team")) == ["team/app", "team/deep/er"]
    assert rows(await seen(browser, "/?q=PP")) == ["team/app"]
    assert rows(await seen(browser, "/?platform=linux/arm64")) == ["team/app"]
    assert rows(await seen(browser, "/?kind=artifact")) == []
    assert rows(await seen(browser, "/?visibility=public")) == []
    assert len(rows(await seen(browser, "/?visibility=private&days=1"))) == 3
    text = await seen(browser, "/?view=grouped")
    assert text.count('scope="rowgroup"') == 1
    text = await seen(browser, "/?view=grouped&namespace=team")
    assert "/?namespace=team/deep&amp;view=grouped" in text
    assert (await browser.get("/?platform=//")).status == 400
    assert (await browser.get("/?cursor=x")).status == 400


async def test_pages_of_a_list_are_stable(registry: Registry) -> None:
    names = [f"team/app-{number:03}" for number in range(60)]
    for name in names:
        await push(registry, name)
    browser = Browser(registry)
    for address in ("/", "/?sort=size", "/?sort=pushed&order=up", "/?view=grouped"):
        text = await seen(browser, address)
        first = rows(text)
        await push(registry, "team/aaa")  # comes before all that has been shown
        more = following(text)
        assert more
        second = rows(await seen(browser, more.replace("?", "/?", 1)))
        assert len(first) == 50
        assert not set(first) & set(second)
        assert {*first, *second} - {"team/aaa"} == set(names), address
        await registry.client.delete(f"/v2/team/aaa/manifests/{await push(registry, 'team/aaa')}")


async def test_nobody_sees_what_is_not_theirs(registry: Registry) -> None:
    for name in ("secret/plans", "team/app", "open/house"):
        await push(registry, name, labels={LABEL: f"All of {name}"})
    house = Household(registry)
    admin = await house.person("alice", admin=True)
    bob = await house.person("bob")
    stranger = Browser(registry)
    for path in ("/", "/?sort=size", "/-/search?q=plans", "/-/search", "/-/storage", "/?q=plans"):
        for browser in (stranger, bob):
            assert "secret" not in await seen(browser, path), path
            assert "All of" not in browser.text
    assert "Sign in to see what is here" in await seen(stranger, "/")
    assert "You have not been given access" in await seen(bob, "/")
    await house.grant("user:bob", "reader", "team/*")
    await house.publish("open/house")
    for browser, wanted in (
        (admin, ["open/house", "secret/plans", "team/app"]),
        (bob, ["open/house", "team/app"]),
        (stranger, ["open/house"]),
    ):
        assert rows(await seen(browser, "/")) == wanted
        found = await seen(browser, "/-/search?q=of")
        assert [name for name in ("open/house", "secret/plans", "team/app") if name in found] == (
            wanted
        )
        assert ("secret" in await seen(browser, "/-/storage")) == (browser is admin)
    for end in ("", "/-/tags", "/-/versions", "/-/history", "/-/activity", "/-/settings"):
        assert (await bob.get(f"/secret/plans{end}")).status == 404, end
        gone = await stranger.get(f"/secret/plans{end}")
        assert (gone.status, gone["Location"][:16]) == (303, "/auth/login?next"), end
        assert (await bob.get(f"/no/such{end}")).status == 404, end
        # Reading is not running.
        expected = 403 if end in ("/-/activity", "/-/settings") else 200
        assert (await bob.get(f"/team/app{end}")).status == expected, end


async def test_hits_say_why(registry: Registry) -> None:
    await push(registry, "team/app", labels={"maintainer": f"Baker {HOSTILE}"})
    await push(registry, "bread/oven", "sourdough")
    browser = Browser(registry)
    text = await seen(browser, "/-/search?q=bread")
    assert "<mark>bread</mark>/oven" in text
    assert "team/app" not in text
    text = await seen(browser, "/-/search?q=sourdough")
    assert "<mark>sourdough</mark>" in text
    assert '<span class="badge">tag</span>' in text
    text = await seen(browser, "/-/search?q=baker")
    assert "<mark>Baker</mark>" in text
    assert "<script>alert" not in text
    assert "onerror=y>" not in text
    text = await seen(browser, "/-/search?q=" + "%3Cscript%3Ealert%28%27x%27%29%3C%2Fscript%3E")
    assert "<script>alert" not in text
    assert "nothing" in (await seen(browser, "/-/search?q=nowhere")).lower()
    assert "bread/oven" in await seen(browser, "/-/search")
    assert "team/app" not in await seen(browser, "/-/search?q=app&kind=artifact")


async def test_a_repository_tells_of_itself(registry: Registry) -> None:
    labels = {
        LABEL: f"Bakes **bread** {HOSTILE}",
        "org.opencontainers.image.source": "https://example.com/src?a=1&b=2",
        "org.opencontainers.image.url": "javascript:alert(1)",
        "org.opencontainers.image.licenses": "MIT OR <b>",
    }
    await push(registry, "team/app", "1.0", "latest", labels=labels)
    await registry.client.get("/v2/team/app/manifests/latest")
    browser = Browser(registry)
    text = await seen(browser, "/team/app")
    assert "docker pull 127.0.0.1:5000/team/app:latest" in text
    assert "<strong>bread</strong>" in text
    assert escape("https://example.com/src?a=1&b=2") in text
    assert "javascript:" not in text
    assert "MIT OR &lt;b&gt;" in text
    assert "<script>alert" not in text
    assert "<img" not in text
    await browser.submit("/-/preferences", runtime="kubernetes")
    assert "image: 127.0.0.1:5000/team/app:latest" in await seen(browser, "/team/app?days=90")
    assert (await browser.get("/team/none")).status == 404


async def test_a_repository_whose_name_is_taken_has_a_page(registry: Registry) -> None:
    await push(registry, "v2/app")
    await push(registry, "auth")
    browser = Browser(registry)
    text = await seen(browser, "/")
    assert 'href="/-/r/v2/app"' in text
    for name in ("v2/app", "auth"):
        assert f"docker pull 127.0.0.1:5000/{name}:latest" in await seen(browser, f"/-/r/{name}")
        for tab in ("tags", "versions", "history", "activity", "settings"):
            await seen(browser, f"/-/r/{name}/-/{tab}")


async def test_an_artifact_is_got_by_what_gets_artifacts(registry: Registry) -> None:
    kind = "application/vnd.cncf.helm.config.v1+json"
    await registry.push_blob("charts/web", b"{}")
    chart = image(b"{}")
    chart["config"]["mediaType"] = kind
    await registry.push_manifest("charts/web", "1.2.0", chart)
    browser = Browser(registry)
    text = await seen(browser, "/charts/web")
    assert "helm pull oci://127.0.0.1:5000/charts/web --version 1.2.0 --plain-http" in text
    assert "Helm chart" in await seen(browser, "/?kind=artifact")


async def test_storage_is_drawn(registry: Registry) -> None:
    await push(registry, "team/app", layer=b"x" * 4000)
    await push(registry, "team/twin", layer=b"x" * 4000)
    await push(registry, "alone", layer=b"y" * 3000)
    browser = Browser(registry)
    text = await seen(browser, "/-/storage")
    assert 'class="treemap"' in text
    assert 'href="/-/storage?namespace=team"' in text
    assert "without a namespace" in text
    text = await seen(browser, "/-/storage?namespace=team")
    assert 'href="/team/twin"' in text
    assert 'href="/alone"' not in text
    await seen(browser, "/-/storage?namespace=nobody")


async def test_full_lists_are_light(registry: Registry) -> None:
    long = "n" * 60
    described = {LABEL: "w&" * 400, **{f"label{n}": "v" * 190 for n in range(30)}}
    children = []
    for name in ("amd64", "arm64", "s390x", "ppc64le", "riscv64"):
        config = json.dumps(
            {"os": "linux", "architecture": name, "config": {"Labels": described}}
        ).encode()
        children.append(json.dumps(image(config, b"layer")).encode())
        await registry.push_blob("base", config)
        await registry.push_blob("base", b"layer")
        await registry.push_manifest("base", name, children[-1])
    for number in range(100):
        await registry.push_manifest("base", f"{number:03}" + "t" * 120, index(*children))
    for number in range(55):
        await push(registry, f"{long}/{long}/{long}/{number:03}", labels=described)
    browser = Browser(registry)
    for path in (
        "/",
        "/?view=grouped",
        "/-/search?q=w",
        "/-/storage",
        f"/-/storage?namespace={long}",
    ):
        await seen(browser, path)
    tags = "&".join(f"tag={number:03}" + "t" * 120 for number in range(100))
    for path in ("", "?days=90", "/-/tags", "/-/versions", "/-/history", "/-/activity"):
        await seen(browser, f"/base{path}")
    await seen(browser, f"/base/-/delete?{tags}")
    assert unescape(browser.text).count("ttt@sha256:") == 100


@pytest.mark.parametrize("days", ["7", "x", ""])
async def test_unknown_choices_ask_nothing(registry: Registry, days: str) -> None:
    await push(registry, "team/app")
    browser = Browser(registry)
    assert rows(await seen(browser, f"/?days={days}&kind=x&visibility=x&sort=x&order=x")) == [
        "team/app"
    ]
    await seen(browser, f"/team/app?days={days}")
