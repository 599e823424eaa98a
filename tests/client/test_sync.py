"""What differs is copied, what is the same costs two questions, what is gone can be pruned."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from kho.client.errors import Misused
from kho.client.stores.layout import Layout
from kho.client.stores.registry_store import RegistryStore
from kho.client.syncing.file import Rule, read_rules
from kho.client.syncing.plan import check, matches
from kho.client.syncing.report import Action, Report
from kho.client.syncing.sync import Sync
from kho.oci.platform import Platform
from kho.oci.reference import ReferenceInvalid
from kho.remote import manifests
from kho.remote.registry import Registry
from tests.interop.servers import Server

from .images import CONFIG, blob, descriptor, image, index, manifest

_names = count()


@pytest.fixture
def name() -> str:
    """A namespace of its own."""
    return f"sync{next(_names)}"


@pytest.fixture
def opened(registry: Registry) -> Callable[[str], Registry]:
    """All registries are this one."""
    return lambda _: registry


async def run(opened: Callable[[str], Registry], *rules: Rule, **options: bool) -> Report:
    return await Sync(opened, **options).run(rules)  # type: ignore[arg-type]


def told(report: Report) -> dict[str, list[str]]:
    """Tags by what became of them."""
    found = {action.value: [str(one.tag) for one in report.of(action)] for action in Action}
    return {key: sorted(tags) for key, tags in found.items() if tags}


async def fill(store: RegistryStore, layout: Layout, *tags: str) -> None:
    for tag in tags:
        await image(layout, tag)
        rule = Rule(f"oci:{layout.folder}:{tag}", f"{store.registry.name}/{store.repository}:{tag}")
        assert not (await run(lambda _: store.registry, rule)).of(Action.FAILED)


async def test_what_differs_is_copied_and_the_rest_costs_two_heads(
    khod: Server, registry: Registry, layout: Layout, opened: Callable[[str], Registry], name: str
) -> None:
    await fill(RegistryStore(registry, f"{name}/from"), layout, "1.0", "1.1", "2.0")
    rule = Rule(f"{khod.host}/{name}/from:1.*", f"{khod.host}/{name}/to")
    assert told(await run(opened, rule)) == {"copied": ["1.0", "1.1"]}
    await fill(RegistryStore(registry, f"{name}/from"), layout, "1.1")
    assert told(await run(opened, rule)) == {"copied": ["1.1"], "same": ["1.0"]}

    mark = khod.log.mark()
    assert told(await run(opened, rule)) == {"same": ["1.0", "1.1"]}
    asked = [(one.method, one.path.rpartition("/")[2]) for one in khod.log.since(mark)]
    asked = [one for one in asked if one[1] not in ("", "readyz")]
    assert sorted(asked) == [("GET", "list"), *[("HEAD", "1.0")] * 2, *[("HEAD", "1.1")] * 2]


async def test_a_namespace_by_the_catalog(
    khod: Server,
    registry: Registry,
    layout: Layout,
    opened: Callable[[str], Registry],
    name: str,
    tmp_path: Path,
) -> None:
    for path in ("a", "b/c", "d"):
        await fill(RegistryStore(registry, f"{name}/team/{path}"), layout, "1")
    rule = Rule(f"{khod.host}/{name}/team/**", f"{khod.host}/{name}/copy")
    assert told(await run(opened, rule)) == {"copied": ["1", "1", "1"]}
    assert [tag async for tag in RegistryStore(registry, f"{name}/copy/b/c").tags()] == ["1"]

    rule = Rule(f"{khod.host}/{name}/team/*", f"oci:{tmp_path}/mirror")
    assert told(await run(opened, rule)) == {"copied": ["1", "1"]}
    assert [tag async for tag in Layout(tmp_path / "mirror/d").tags()] == ["1"]


async def test_prune_is_about_what_the_rule_is_about(
    khod: Server, registry: Registry, layout: Layout, opened: Callable[[str], Registry], name: str
) -> None:
    source, target = RegistryStore(registry, f"{name}/from"), RegistryStore(registry, f"{name}/to")
    await fill(source, layout, "1.0", "x")
    referrers_tag = "sha256-" + 64 * "0"
    await fill(target, layout, "1.0", "1.1", "2.0", "x", referrers_tag)
    rule = Rule(f"{khod.host}/{name}/from:1.*", f"{khod.host}/{name}/to", prune=True)
    planned = await run(opened, rule, dry=True)
    assert told(planned) == {"copied": ["1.0"], "pruned": ["1.1"]}
    assert sorted([tag async for tag in target.tags()]) == sorted(
        ["1.0", "1.1", "2.0", "x", referrers_tag]
    )
    assert told(await run(opened, rule)) == told(planned)
    whole = Rule(f"{khod.host}/{name}/from", f"{khod.host}/{name}/to", prune=True)
    assert told(await run(opened, whole))["pruned"] == ["2.0"]
    assert sorted([tag async for tag in target.tags()]) == ["1.0", referrers_tag, "x"]


async def test_nothing_is_pruned_by_a_list_that_failed_or_is_empty(
    khod: Server, registry: Registry, layout: Layout, opened: Callable[[str], Registry], name: str
) -> None:
    target = RegistryStore(registry, f"{name}/to")
    await fill(target, layout, "1.0")
    missing = Rule(f"{khod.host}/{name}/missing", f"{khod.host}/{name}/to", prune=True)
    failed = await run(opened, missing)
    assert told(failed) == {"failed": ["None"]}
    empty = Rule(f"oci:{layout.folder}/empty", f"{khod.host}/{name}/to", prune=True)
    (step,) = (await run(opened, empty)).of(Action.FAILED)
    assert "has no tags" in step.reason
    assert [tag async for tag in target.tags()] == ["1.0"]
    allowed = Rule(empty.origin, empty.aim, prune=True, allow_empty=True)
    assert told(await run(opened, allowed)) == {"pruned": ["1.0"]}


async def test_after_an_error_it_goes_on(
    khod: Server, opened: Callable[[str], Registry], layout: Layout, name: str
) -> None:
    await image(layout, "a")
    broken = await image(layout, "b", os.urandom(100))
    await image(layout, "c")
    layer = json.loads(broken.content)["layers"][0]["digest"].partition(":")[2]
    (layout.folder / "blobs/sha256" / layer).write_bytes(b"x" * 100)
    report = await run(opened, Rule(f"oci:{layout.folder}", f"{khod.host}/{name}"))
    assert told(report) == {"copied": ["a", "c"], "failed": ["b"]}
    assert layer in report.of(Action.FAILED)[0].reason


async def test_a_tag_that_is_named_and_missing_is_told(
    khod: Server, opened: Callable[[str], Registry], layout: Layout, name: str
) -> None:
    await image(layout, "a")
    rule = Rule(f"oci:{layout.folder}", f"{khod.host}/{name}", include=("a", "b"))
    assert told(await run(opened, rule)) == {"copied": ["a"], "failed": ["b"]}


async def test_platforms_make_the_same_index_each_time(
    khod: Server, registry: Registry, opened: Callable[[str], Registry], layout: Layout, name: str
) -> None:
    images = [
        (f"linux/{one}", await image(layout, None, architecture=one))
        for one in ("amd64", "arm64", "s390x")
    ]
    await index(layout, "v1", *images)
    platforms = (Platform.parse("amd64"), Platform.parse("arm64"))
    rule = Rule(f"oci:{layout.folder}", f"{khod.host}/{name}", platforms=platforms)
    assert told(await run(opened, rule)) == {"copied": ["v1"]}
    assert told(await run(opened, rule)) == {"same": ["v1"]}
    there = RegistryStore(registry, name)
    entries = json.loads((await there.manifest("v1")).content)["manifests"]
    assert [one["platform"]["architecture"] for one in entries] == ["amd64", "arm64"]
    assert not await there.has_manifest(images[2][1].digest)
    missing = Rule(rule.origin, rule.aim, platforms=(Platform.parse("riscv64"), *platforms))
    assert told(await run(opened, missing)) == {"failed": ["v1"]}


async def test_new_referrers_of_what_is_there(
    khod: Server, opened: Callable[[str], Registry], layout: Layout, name: str
) -> None:
    made = await image(layout, "v1")
    rule = Rule(f"oci:{layout.folder}", f"{khod.host}/{name}", referrers=True)
    assert told(await run(opened, rule)) == {"copied": ["v1"]}
    await image(layout, None, subject=descriptor(made))
    assert told(await run(opened, rule)) == {"copied": ["v1"]}
    assert told(await run(opened, rule)) == {"same": ["v1"]}


async def test_young_images_wait(
    khod: Server, opened: Callable[[str], Registry], layout: Layout, name: str
) -> None:
    now = datetime.now(UTC)
    for tag, age in (("old", timedelta(days=4)), ("young", timedelta(days=2))):
        config = json.dumps({"created": (now - age).isoformat()}).encode()
        made = manifest({"config": blob(layout, config, CONFIG), "layers": []})
        await layout.take_manifest(made, tag)
    rule = Rule(f"oci:{layout.folder}", f"{khod.host}/{name}", min_age=3 * 86400.0)
    assert told(await run(opened, rule)) == {"copied": ["old"], "too young": ["young"]}


async def test_a_tag_that_moves_after_it_was_read(
    khod: Server, registry: Registry, opened: Callable[[str], Registry], layout: Layout, name: str
) -> None:
    source = RegistryStore(registry, f"{name}/from")
    await fill(source, layout, "1")
    first = await source.find("1")

    class Moving(Sync):
        async def _copy(self, pair, tag, digest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            await fill(source, layout, "1")
            if gone:
                await manifests.delete(registry, source.repository, str(digest))
            await super()._copy(pair, tag, digest)

    rule = Rule(f"{khod.host}/{name}/from", f"{khod.host}/{name}/to")
    gone = False
    report = await Moving(opened).run([rule])
    assert report.steps[-1].digest == first.digest
    gone = True
    report = await Moving(opened).run([rule])
    assert report.steps[-1].digest == (await source.find("1")).digest


def test_a_file_of_rules(tmp_path: Path) -> None:
    path = tmp_path / "sync.yaml"
    path.write_text("""\
defaults: {prune: yes}
sync:
  - from: docker.io/library/alpine
    to: registry.example.com/alpine
    tags: [3.10, "3.*"]
    exclude: "*-rc*"
    platforms: [linux/amd64, arm64]
    min_age: 3d
  - {from: a.example.com/team/**, to: "b.example.com", prune: false, referrers: true}
""")
    first, second = read_rules(path)
    assert first.include == ("3.10", "3.*")
    assert (first.prune, first.min_age, len(first.platforms)) == (True, 259_200.0, 2)
    assert (second.prune, second.referrers) == (False, True)
    same = {"sync": [{"from": "a.example.com/x", "to": "b.example.com/x", "prune": True}]}
    (tmp_path / "sync.json").write_text(json.dumps(same))
    (tmp_path / "sync.toml").write_text(
        '[[sync]]\nfrom = "a.example.com/x"\nto = "b.example.com/x"\nprune = true\n'
    )
    assert read_rules(tmp_path / "sync.json") == read_rules(tmp_path / "sync.toml")


@pytest.mark.parametrize(
    "text, words",
    [
        ("sync: {}", "expected a list"),
        ("- a", "expected a list"),
        ("sync: [{from: a}]", "entry 1: `to` is missing"),
        ("sync: [{from: a, to: b, tag: c}]", "the nearest is tags"),
        ("sync: [{from: a, to: b, prune: maybe}]", "expected true or false"),
        ("sync: [{from: a, to: b, min_age: 3}]", "expected an age"),
        ("sync: [{from: a, to: b, platforms: [x y]}]", "is no platform"),
        ("sync: [", "no YAML"),
    ],
)
def test_a_file_with_a_mistake(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "sync.yml"
    path.write_text(text)
    with pytest.raises(Misused, match=words):
        read_rules(path)


@pytest.mark.parametrize(
    "origin, aim",
    [
        ("a.example.com/x@sha256:" + 64 * "0", "b.example.com/x"),
        ("a.example.com/x", "b.example.com/*"),
        ("a.example.com/x", "b.example.com/x:1"),
        ("a.example.com/x:1.*", "b.example.com/x:1"),
        ("a.example.com/x/*", "b.example.com/y:1"),
        ("oci:", "b.example.com/x"),
        ("A b", "b.example.com/x"),
    ],
)
def test_rules_that_make_no_sense(origin: str, aim: str) -> None:
    with pytest.raises((Misused, ReferenceInvalid)):
        check(Rule(origin, aim))


@pytest.mark.parametrize(
    "glob, yes, no",
    [
        ("team/*", ["team/a"], ["team/a/b", "team", "xteam/a"]),
        ("team/**", ["team/a", "team/a/b"], ["team", "other/a"]),
        ("v?.*", ["v1.0", "v2."], ["v10.0", "1.0"]),
        ("1.0+x[a]", ["1.0+x[a]"], ["1.0+xa", "110+x[a]"]),
    ],
)
def test_globs(glob: str, yes: list[str], no: list[str]) -> None:
    assert [one for one in yes + no if matches(glob, one)] == yes
