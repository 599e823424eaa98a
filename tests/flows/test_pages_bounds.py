"""Pages, and the time that they take, of images that say more than anybody reads."""

import asyncio
import gc
import json
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

import pytest

from kho.oci.digest import Digest
from kho.oci.media_types import OCI_MANIFEST
from kho.server.database.layer_listings import Head
from kho.server.index.files.levels import Level
from kho.server.inspection.packed import Entry, Kind, pack
from kho.server.policy.access import ANYONE
from kho.server.registry.contents import bounds, image
from kho.server.web.ui import room
from tests.flows.browser import Browser
from tests.flows.households import seen
from tests.flows.people import resources_of
from tests.flows.registry import Registry
from tests.oci.samples import CONFIG_TYPE, Json, descriptor, encode, index
from tests.oci.samples import image as manifest_of

VIEWS = ("layers", "config", "config&reveal=1", "manifest", "attachments", "waste", "files")
HOSTILE = "<b>\"&'"
LAYER = b"layer"
# Of CPU at a stretch: many times what it takes; without bounds it was seconds.
SECONDS = 0.5


class Stretches:
    """The longest time of CPU in which nothing else had its turn; the tests' own heap apart."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def __aenter__(self) -> Self:
        gc.collect()
        gc.disable()
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        gc.enable()
        await asyncio.sleep(0)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _watch(self) -> None:
        while True:
            begin = time.thread_time()
            await asyncio.sleep(0)
            self.longest = max(self.longest, time.thread_time() - begin)


async def pushed(registry: Registry, name: str, config: Json, **more: object) -> bytes:
    """An image that says all this."""
    content = encode({"os": "linux", "architecture": "amd64"} | config)
    for blob in (content, LAYER):
        await registry.push_blob(name, blob)
    value = manifest_of(content, LAYER) | more
    value["config"] = descriptor(content, CONFIG_TYPE)
    body = encode(value)
    await registry.push_manifest(name, "1", body)
    return body


CONFIGS: dict[str, Json] = {
    "env": {"Env": [f"A{n}_PASSWORD={n}secret" for n in range(9000)]},
    "variable": {"Env": ["PASSWORD=" + "a" * 900_000]},
    "name": {"Env": [HOSTILE * 150_000]},
    "labels": {"Labels": {f"l{n}{HOSTILE}": HOSTILE * 300 for n in range(400)}},
    "words": {"Entrypoint": ["<"] * 150_000, "Cmd": ["x" * 100] * 4000},
    "word": {"Entrypoint": ["<" * 900_000], "Shell": "sh"},
    "ports": {"ExposedPorts": {f"{n}/tcp": {} for n in range(12_000)}},
    "volumes": {"Volumes": {f"/{HOSTILE}{n}": {} for n in range(120_000)}},
    "texts": {"User": "<" * 300_000, "WorkingDir": "<" * 300_000, "StopSignal": "<" * 300_000},
}


@pytest.mark.parametrize("case", CONFIGS)
async def test_configs(registry: Registry, case: str) -> None:
    history = [{"created_by": "RUN " + HOSTILE * 3, "empty_layer": True}] * 1500
    top = {"history": history, "author": "<" * 9000, "created": "<" * 9000}
    if case not in ("env", "labels"):  # those have no room for it
        top = {"variant": "<" * 9000}
    await pushed(registry, "app", top | {"config": CONFIGS[case]})
    await pushed(registry, "other", {})
    await looked_at(Browser(registry), "app", VIEWS)


async def looked_at(browser: Browser, name: str, views: Iterable[str]) -> None:
    """All its pages, and the answers of the API."""
    async with Stretches() as stretches:
        for view in views:
            await seen(browser, f"/{name}:1?view={view}")
        for page in ("", "/-/tags", "/-/versions", "/-/diff?a=1&b=1"):
            await seen(browser, f"/{name}{page}")
        answer = await browser.get(f"/api/v1/repositories/{name}/-/images/1?reveal=true")
    assert answer.status == 200
    assert len(answer.body) < 2_000_000
    assert stretches.longest < SECONDS


@pytest.mark.parametrize(
    "annotations",
    [
        {f"k{n}": "v" * 1000 for n in range(1500)},
        {f"{n:x}": "" for n in range(120_000)},
        {"org.opencontainers.image.description": "d" * 900_000, "x": HOSTILE * 300_000},
        {HOSTILE * 300_000: "v"},
    ],
    ids=["many", "tiny", "long", "name"],
)
async def test_annotations(registry: Registry, annotations: dict[str, str]) -> None:
    body = await pushed(registry, "app", {}, annotations=annotations)
    browser = Browser(registry)
    await looked_at(browser, "app", VIEWS)
    answer = await browser.get("/app:1/-/raw?part=manifest")
    assert (answer.status, answer.body) == (200, body)
    assert answer["Content-Type"] == "application/octet-stream"


async def test_manifests_that_are_nested(registry: Registry) -> None:
    # Indented as it stands, this is 80 MB.
    deep = "[" * 60 + "1," * 300_000 + "1" + "]" * 60
    body = encode(manifest_of(b"{}", LAYER) | {"x": "deep"}).replace(b'"deep"', deep.encode())
    for blob in (b"{}", LAYER):
        await registry.push_blob("app", blob)
    await registry.push_manifest("app", "1", body)
    await looked_at(Browser(registry), "app", VIEWS)


async def test_many_layers(registry: Registry) -> None:
    for blob in (b"{}", LAYER):
        await registry.push_blob("app", blob)
    await registry.push_manifest("app", "1", manifest_of(b"{}", *[LAYER] * 4000))
    await looked_at(Browser(registry), "app", VIEWS)
    found = await image.find(resources_of(registry), ANYONE, "app", "1")
    assert found.detail is not None
    assert found.detail.layers == 4000
    assert found.detail.left_out["steps"] == 4000 - len(found.detail.steps)


async def test_many_platforms(registry: Registry) -> None:
    child = await pushed(registry, "app", {})
    entries = [
        descriptor(child, OCI_MANIFEST, platform={"os": "linux", "architecture": f"a{n}"})
        for n in range(2000)
    ]
    await registry.push_manifest("app", "1", index() | {"manifests": entries})
    browser = Browser(registry)
    await looked_at(browser, "app", VIEWS)
    text = await seen(browser, "/app:1?platform=linux/a400")
    assert 'aria-current="true">linux/a400<' in text
    assert "1,960 more are not shown here" in text
    found = await image.find(resources_of(registry), ANYONE, "app", "1")
    assert found.left_out["offers"] == 2000 - len(found.offers)


async def test_many_attachments(registry: Registry) -> None:
    subject = await pushed(registry, "app", {})
    notes = {f"<{n}": "" for n in range(300)}
    for n in range(210):
        more = {"subject": descriptor(subject, OCI_MANIFEST), "annotations": notes}
        value = manifest_of(b"{}") | more | {"artifactType": "x/" + "&" * 240 + str(n)}
        await registry.push_blob("app", b"{}")
        await registry.push_manifest("app", Digest.of(encode(value)), value)
    browser = Browser(registry)
    await looked_at(browser, "app", VIEWS)
    text = await seen(browser, "/app:1?view=attachments")
    assert "There are more of them" in text
    assert "300 annotations" in text


async def test_what_is_left_out_is_counted(registry: Registry) -> None:
    run: Json = {"Env": [f"A{n}=b" for n in range(150)], "Cmd": ["x" * 1500], "User": "u" * 300}
    run |= {"Labels": {"l": "v" * 1234}, "ExposedPorts": {f"{n}/tcp": {} for n in range(107)}}
    await pushed(registry, "app", {"config": run}, annotations={f"k{n}": "" for n in range(103)})
    found = await image.find(resources_of(registry), ANYONE, "app", "1")
    assert found.detail is not None
    assert found.detail.config is not None
    assert found.detail.config.left_out == {"env": 50, "cmd": 500, "user": 44, "ports": 7}
    assert found.detail.config.labels[0].left_out == 234
    assert found.detail.left_out == {"annotations": 3}
    browser = Browser(registry)
    text = await seen(browser, "/app:1?view=config")
    for count in (
        "50 more are",
        "500 characters more",
        "44 characters",
        "234 characters",
        "3 more",
    ):
        assert count in text, count
    answer = await browser.get("/app:1/-/raw?part=config")
    assert json.loads(answer.body)["config"] == run
    assert (await browser.get("/app:1/-/raw?part=other")).status == 404


async def test_a_difference_behind_what_is_shown_is_one(registry: Registry) -> None:
    same = [f"A{n}=b" for n in range(500)]
    await pushed(registry, "app", {"config": {"Env": [*same, "LAST=1"], "Cmd": ["x" * 2000]}})
    await registry.client.get("/v2/app/manifests/1")
    one = (await registry.client.get("/v2/app/manifests/1"))["Docker-Content-Digest"]
    await pushed(registry, "app", {"config": {"Env": [*same, "LAST=2"], "Cmd": ["x" * 2001]}})
    text = await seen(Browser(registry), f"/app/-/diff?a={one}&b=1")
    assert "env.LAST" in text
    assert "2,001 characters" in text or "characters more" in text


async def test_a_secret_is_masked_before_it_is_cut(registry: Registry) -> None:
    token = "ghp_" + "a" * 36
    run = {"Cmd": ["x" * (bounds.VALUE - 10) + token], "Labels": {"a": "y" * 990 + token}}
    await pushed(registry, "app", {"config": run})
    assert "ghp_" not in await seen(Browser(registry), "/app:1?view=config")


async def test_a_folder_of_many_layers_is_read_in_windows(registry: Registry) -> None:
    files = [Entry(b"f%04d" % n, Kind.FILE) for n in range(1000)]
    heads = [Head(layer, b"", pack(files)) for layer in range(300)]
    level, start, names = Level(b"d"), b"", 0
    async with Stretches() as stretches:
        await level.read(heads)
        while True:
            window = await level.window(resources_of(registry).database, start)
            names += sum(map(len, window.entries.values()))
            if window.until is None:
                break
            assert window.until > start
            start = window.until
    assert names == 300 * 1000
    assert stretches.longest < SECONDS


def test_what_fits() -> None:
    assert room.weight("a<é") == 1 + 5 + 2
    text, left_out = room.cut(HOSTILE * 1000, 600)
    assert room.weight(text) <= 600
    assert len(text) + left_out == len(HOSTILE) * 1000
    assert room.pretty('{"a":[1]}', 100) == ('{\n  "a": [\n    1\n  ]\n}', 0)
    assert room.pretty("[" * 40 + "]" * 40, 500).text == "[" * 40 + "]" * 40
    assert room.pretty("no json", 3) == ("no ", 4)
    rows = [room.Told("x" * 100, 0)] * 50
    assert len(room.fit(rows, 10 * (room.ROW + 100), "text")) == 10
    assert len(room.fit(rows, 0, "text")) == 1
