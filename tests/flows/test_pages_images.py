"""The page of an image: its views, by tag and digest; indexes, artifacts, and what is damaged."""

import html
import re

from kho.oci.digest import Digest
from kho.oci.media_types import OCI_MANIFEST
from tests.flows.browser import Browser
from tests.flows.contents import SIGNATURE
from tests.flows.databases import on_both_databases
from tests.flows.households import HEAVIEST, Household, following, seen
from tests.flows.pictures import config, layer, push
from tests.flows.registry import Registry
from tests.oci.samples import CONFIG_TYPE, descriptor, encode, image, index

VIEWS = ("layers", "files", "config", "manifest", "attachments", "waste", "no-such-view")
EMPTY = "application/vnd.oci.empty.v1+json"
BASE = layer(("etc/", b""), ("etc/motd", b"hello\n"), ("big", b"x" * 50_000))
TOP = layer(("etc/motd", b"bye\n"), (".wh.big", b""))


@on_both_databases
async def test_all_views_by_tag_and_by_digest(registry: Registry) -> None:
    settings = config("ADD file:1 in /", "-ENV A=b", "RUN /bin/sh -c make # buildkit")
    digest = await push(registry, "team/app", "1.0", BASE, TOP, settings=settings)
    await push(registry, "team/other", "1.0", BASE)
    browser = Browser(registry)
    for reference in (":1.0", f"@{digest}"):
        for view in VIEWS:
            text = await seen(browser, f"/team/app{reference}?view={view}")
            assert f'href="/team/app{reference}' in text
    text = await seen(browser, "/team/app:1.0")
    assert re.findall(r"<b>([A-Z]+)</b>", text) == ["ADD", "ENV", "RUN"]
    assert text.count('href="#layer-') == 2
    assert 'id="layer-2"' in text
    assert "shared with 1 image</small>" in text
    assert 'title="team/other"' in text
    assert "3 files</a>" in text or "2 files</a>" in text
    assert f"docker pull 127.0.0.1:5000/team/app@{digest}" in text
    for missing in ("/team/app:2.0", f"/team/app@sha256:{'0' * 64}", "/team/app@sha256:1"):
        assert (await browser.get(missing)).status in {400, 404}
    assert (await browser.get("/nobody/nothing:1")).status == 404


async def test_what_no_container_sees(registry: Registry) -> None:
    await push(registry, "app", "1", BASE, TOP)
    text = await seen(Browser(registry), "/app:1")
    assert "As containers see it" in text
    assert "0%</b>" in text  # 4 of 50,010 bytes
    assert "50 kB</b>" in text
    assert re.search(r'class="name break">big</th>', text)
    await push(registry, "app", "good", BASE)
    text = await seen(Browser(registry), "/app:good?view=waste")
    assert "100%</b>" in text
    assert "Where most of it is" not in text


async def test_an_index_offers_its_platforms(registry: Registry) -> None:
    children = {
        one: await push(registry, "app", None, BASE, settings=config("RUN x", architecture=one))
        for one in ("amd64", "arm64", "s390x")
    }

    def offer(name: str) -> dict[str, object]:
        body = rows[name]
        platform = {"os": "linux", "architecture": name}
        return descriptor(body, OCI_MANIFEST, platform=platform)

    rows = {}
    for name, digest in children.items():
        rows[name] = (await registry.client.get(f"/v2/app/manifests/{digest}")).body
    whole = index() | {"manifests": [offer(name) for name in rows]}
    await registry.push_manifest("app", "all", whole)
    outer = index(encode(whole))
    outer["manifests"][0]["mediaType"] = whole["mediaType"]
    await registry.push_manifest("app", "nested", outer)
    await registry.client.delete(f"/v2/app/manifests/{children['s390x']}")
    browser = Browser(registry)
    text = await seen(browser, "/app:all")
    assert str(children["amd64"]) in text
    assert re.search(r'aria-current="true">linux/amd64<', text)
    text = await seen(browser, "/app:all?platform=linux/arm64&view=files")
    assert str(children["arm64"]) in text
    assert "/app:all/-/file?platform=linux/arm64&amp;path=big" in text
    assert "linux/s390x (not here)" in text
    for view in VIEWS:
        text = await seen(browser, f"/app:all?platform=linux/arm64&view={view}")
    text = await seen(browser, "/app:all?platform=linux/s390x")
    assert "does not hold the image of this platform" in text
    assert (await browser.get("/app:all?platform=linux/s390x&view=files")).status == 404
    assert (await browser.get("/app:all?platform=linux/mips")).status == 404
    assert (await browser.get("/app:all?platform=//")).status == 400
    assert str(children["amd64"]) in await seen(browser, "/app:nested")


async def test_artifacts_and_what_is_attached(registry: Registry) -> None:
    subject = await push(registry, "app", "1", BASE)
    body = (await registry.client.get(f"/v2/app/manifests/{subject}")).body
    for blob in (b"{}", b"sbom", b'{"name":"web","password":"hunter22"}', b"chart"):
        await registry.push_blob("app", blob)
    title = {"org.opencontainers.image.title": "sbom.json"}
    sbom = {
        "artifactType": "application/spdx+json",
        "config": descriptor(b"{}", EMPTY),
        "layers": [descriptor(b"sbom", "application/spdx+json", annotations=title)],
        "annotations": {"token": "hunter22hunter", "made.by": "us"},
        "subject": descriptor(body, OCI_MANIFEST),
    }
    one = encode(image() | sbom)
    digest = await registry.push_manifest("app", Digest.of(one), one)
    signature = {"artifactType": SIGNATURE, "config": descriptor(b"{}", EMPTY)}
    two = encode(image() | signature | {"subject": descriptor(one, OCI_MANIFEST), "layers": []})
    await registry.push_manifest("app", Digest.of(two), two)
    chart = image() | {
        "config": descriptor(
            b'{"name":"web","password":"hunter22"}', "application/vnd.cncf.helm.config.v1+json"
        ),
        "layers": [descriptor(b"chart", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")],
    }
    await registry.push_manifest("app", "chart", chart)
    browser = Browser(registry)
    text = await seen(browser, "/app:1?view=attachments")
    assert "SPDX" in text
    assert str(Digest.of(two))[7:19] in text
    assert "made.by" in text
    assert "hunter22" not in text
    text = await seen(browser, f"/app@{digest}")
    assert "sbom.json" in text
    assert "hunter22" not in text
    assert f"/app@{subject}" in text
    for view in VIEWS:
        answer = await browser.get(f"/app@{digest}?view={view}")
        assert answer.status == (404 if view == "files" else 200)
    text = await seen(browser, "/app:chart")
    assert "Helm chart" in text
    assert "helm pull oci://" in text
    await seen(browser, "/app:chart?view=config")
    assert (await browser.get("/app:chart/-/file?path=x")).status == 404


async def test_secrets_are_masked_until_asked(registry: Registry) -> None:
    settings = config(
        "-ENV PASSWORD=hunter22hunter", "RUN make hunter22hunter", env=("PASSWORD=hunter22hunter",)
    )
    await push(registry, "app", "1", BASE, settings=settings)
    browser = Browser(registry)
    for view in ("layers", "config", "files", "attachments", "waste"):
        assert "hunter22" not in await seen(browser, f"/app:1?view={view}&reveal=0"), view
    assert "hunter22" not in await seen(browser, "/app:1?view=layers&reveal=1")
    text = await seen(browser, "/app:1?view=config")
    assert "looks secret" in text
    link = re.search(r'href="([^"]+)">Show them', text)
    assert link
    assert "hunter22hunter" in await seen(browser, html.unescape(link[1]))


async def test_configs_that_say_nothing(registry: Registry) -> None:
    browser = Browser(registry)
    for content in (b"{not json", b"[]", b"{}", b'{"history":"no"}', b"\xff"):
        await push(registry, "app", "1", BASE, settings=content, wait=False)
        broken = content in {b"{not json", b"[]", b"\xff"}
        for view in VIEWS:
            text = await seen(browser, f"/app:1?view={view}")
            told = view not in {"files", "manifest", "attachments"}
            assert ("cannot be shown" in text) == (broken and told), (content, view)
        assert "(not told)" in await seen(browser, "/app:1")


async def test_bytes_that_are_gone(registry: Registry) -> None:
    settings = config("RUN x")
    await push(registry, "app", "1", BASE, settings=settings)
    registry.blob_file(Digest.of(settings)).write_bytes(b"y" * len(settings))
    browser = Browser(registry)
    assert "its bytes are" in await seen(browser, "/app:1?view=config")
    # What was found damaged is put aside.
    assert "The config cannot be shown" in await seen(browser, "/app:1")
    assert "motd" in await seen(browser, "/app:1?view=files&path=etc")


async def test_many_layers_and_long_commands(registry: Registry) -> None:
    lines = [f"RUN /bin/sh -c step {number} {'and <more> ' * 300}end" for number in range(127)]
    layers = [b"layer %d" % (number % 5) for number in range(127)]
    await push(registry, "app", "127", *layers, settings=config(*lines), wait=False)
    browser = Browser(registry)
    text = await seen(browser, "/app:127")
    assert text.count('id="layer-') == 127
    link = re.search(r'href="([^"]+)">[\d,]+ characters more', text)
    assert link
    assert "?step=1#layer-1" in link[1]
    assert " end" not in text
    assert "end</code>" in await seen(browser, "/app:127?step=1")
    await seen(browser, "/app:127?view=manifest")
    steps = [f"-ENV A{number}=b" for number in range(450)]
    await push(registry, "app", "450", b"layer 1", settings=config(*steps), wait=False)
    text = await seen(browser, "/app:450")
    numbers = []
    while True:
        numbers += re.findall(r"\bA(\d+)=b</code>", text)
        more = following(text)
        if more is None:
            break
        text = await seen(browser, more)
    assert numbers == [str(number) for number in range(450)]
    for wrong in ("from=99999", "from=-1", "from=x", "step=0"):
        await seen(browser, f"/app:450?{wrong}")


async def test_images_without_layers_and_with_foreign_ones(registry: Registry) -> None:
    await push(registry, "app", "none", settings=encode({"os": "linux", "architecture": "amd64"}))
    browser = Browser(registry)
    for view in VIEWS:
        await seen(browser, f"/app:none?view={view}")
    assert "no layers and no history" in await seen(browser, "/app:none")
    assert "The folder is empty" in await seen(browser, "/app:none?view=files")
    assert (await browser.get("/app:none?view=files&path=etc")).status == 404
    settings = config("FROM windows", "RUN x")
    await push(registry, "app", "windows", BASE, settings=settings)
    foreign = descriptor(
        b"windows",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        urls=["https://example.com/windows"],
    )
    value = image(settings) | {
        "config": descriptor(settings, CONFIG_TYPE),
        "layers": [foreign, descriptor(BASE)],
    }
    await registry.push_manifest("app", "windows", value)
    for view in VIEWS:
        await seen(browser, f"/app:windows?view={view}")
    text = await seen(browser, "/app:windows?view=files")
    assert "One layer is pulled from elsewhere" in text
    assert "big" in text
    assert (await browser.get("/app:windows/-/raw?path=etc/motd")).body == b"hello\n"


async def test_who_may_not_pull_is_told_nothing(registry: Registry) -> None:
    digest = await push(registry, "secret/app", "1", BASE)
    house = Household(registry)
    await house.person("alice", admin=True)
    bob = await house.person("bob")
    stranger = Browser(registry)
    pages = [f"/secret/app:1?view={view}" for view in VIEWS]
    pages += ["/secret/app:1/-/file?path=big", "/secret/app:1/-/raw?path=big"]
    pages += ["/secret/app/-/diff?a=1&b=1", "/secret/app/-/diff/file?a=1&b=1&path=big"]
    for page in (*pages, f"/secret/app@{digest}"):
        answer = await bob.get(page)
        assert answer.status == 404, page
        assert b"RUN make" not in answer.body
        nothing = await bob.get(page.replace("/secret/app", "/secret/none"))
        assert nothing.status == 404
        answer = await stranger.get(page)
        assert answer.status == 303, page
        assert answer["Location"].startswith("/auth/login?next=")
    await house.grant("user:bob", "reader", "secret/**")
    assert (await bob.get("/secret/app:1")).status == 200
    # A layer of another repository is not reached through a manifest that names it.
    value = image(b"{}", BASE)
    assert (await registry.put_manifest("open/app", "1", value)).status in {401, 400, 404}


async def test_a_page_of_everything_is_not_too_heavy(registry: Registry) -> None:
    await push(registry, "app", "1", *[b"layer"] * 500, wait=False)
    answer = await Browser(registry).get("/app:1")
    assert answer.status == 200
    assert len(answer.body) <= HEAVIEST
