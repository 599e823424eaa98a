"""Repositories by the API: what is in them, what is set, what goes; on both databases."""

import asyncio
import gzip
import io
import json
import tarfile
from typing import Any

import pytest

from kho.oci.digest import Digest
from tests.flows.api import call
from tests.flows.client import Answer
from tests.flows.databases import on_both_databases
from tests.flows.people import Field, People, basic
from tests.flows.registry import Registry
from tests.oci.samples import image

CONFIG = {
    "os": "linux",
    "architecture": "amd64",
    "config": {"Env": ["PATH=/bin", "API_TOKEN=hunter2"], "Cmd": ["sh"]},
    "rootfs": {"type": "layers", "diff_ids": []},
}
REPOSITORY = "/repositories/team/app"


def layer(**files: bytes) -> bytes:
    """A gzipped tar; `etc_motd` is etc/motd."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("_", "/"))
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return gzip.compress(tar.getvalue(), mtime=0)


class Owner:
    """Who may do everything in team/**."""

    def __init__(self, people: People, header: Field) -> None:
        self.people, self.header = people, header

    async def send(self, method: str, path: str, body: object = None) -> Answer:
        """One call."""
        return await call(self.people.registry.client, method, path, self.header, body=body)

    async def ask(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        """One call with the status that it must have; what it tells, if anything."""
        answer = await self.send(method, path, body)
        assert answer.status == status, (method, path, answer)
        return answer.json() if answer.body else None

    async def listed(self, path: str) -> None:
        """Wait until the layers of an image were looked into, which the first look asks for."""
        for _ in range(300):
            if not (await self.ask("GET", path))["unlisted"]:
                return
            await asyncio.sleep(0.1)
        raise TimeoutError(path)

    async def push(self, tag: str, *layers: bytes) -> Digest:
        """An image; nobody has an account while the registry is open, so this goes first."""
        registry = self.people.registry
        config = json.dumps(CONFIG).encode()
        for content in (config, *layers):
            await self._blob(content)
        body = json.dumps(image(config, *layers)).encode()
        kind = ("Content-Type", "application/vnd.oci.image.manifest.v1+json")
        where = f"/v2/team/app/manifests/{tag}"
        answer = await registry.client.put(where, body, self.header, kind)
        assert answer.status == 201, answer
        return Digest.parse(answer["Docker-Content-Digest"])

    async def _blob(self, content: bytes) -> None:
        target = f"/v2/team/app/blobs/uploads/?digest={Digest.of(content)}"
        answer = await self.people.registry.client.post(target, content, self.header)
        assert answer.status == 201, answer


@pytest.fixture
async def owner(registry: Registry) -> Owner:
    """Beside a private repository of somebody else."""
    await registry.push_image("private/secret", "1", b"a layer")
    people = People(registry)
    token = await people.user("owner")
    await people.grant("user:owner", "maintainer", "team/**")
    return Owner(people, basic("owner", token))


@on_both_databases
async def test_lists_hold_what_one_may_pull(owner: Owner) -> None:
    await owner.push("1.0", layer(etc_motd=b"hello"))
    found = await owner.ask("GET", "/repositories")
    assert [one["name"] for one in found["items"]] == ["team/app"]
    hits = await owner.ask("GET", "/search")
    assert [one["name"] for one in hits["items"]] == ["team/app"]
    assert (await owner.ask("GET", "/search?q=secret"))["items"] == []
    spaces = await owner.ask("GET", "/namespaces")
    assert [one["name"] for one in spaces["items"]] == ["team"]
    assert (await owner.ask("GET", "/storage"))["repositories"] == 1
    overview = await owner.ask("GET", REPOSITORY)
    assert overview["repository"]["tags"] == 1
    assert "settings" in overview["actions"]


@on_both_databases
async def test_tags_versions_history_and_back_again(owner: Owner) -> None:
    first = await owner.push("latest", layer(etc_motd=b"one"))
    second = await owner.push("latest", layer(etc_motd=b"two"))
    (tag,) = (await owner.ask("GET", f"{REPOSITORY}/-/tags"))["items"]
    assert (tag["name"], tag["digest"]) == ("latest", str(second))
    assert tag["pushed_at"].endswith("Z")
    versions = (await owner.ask("GET", f"{REPOSITORY}/-/versions?tagged=untagged"))["items"]
    assert [one["digest"] for one in versions] == [str(first)]
    moves = (await owner.ask("GET", f"{REPOSITORY}/-/history"))["items"]
    assert [one["to_digest"] for one in moves] == [str(second), str(first)]
    target = {"digest": str(first), "only_from": str(first)}
    await owner.ask("PUT", f"{REPOSITORY}/-/tags/latest", target, 412)
    target["only_from"] = str(second)
    restored = await owner.ask("PUT", f"{REPOSITORY}/-/tags/latest", target)
    assert (restored["from_digest"], restored["to_digest"]) == (str(second), str(first))


@on_both_databases
async def test_an_image_and_how_it_differs(owner: Owner) -> None:
    shared = layer(bin_sh=b"a shell")
    await owner.push("1", shared, layer(etc_motd=b"one"))
    await owner.push("2", shared, layer(etc_motd=b"two"))
    found = await owner.ask("GET", f"{REPOSITORY}/-/images/1")
    assert found["platform"] == "linux/amd64"
    assert len([one for one in found["detail"]["steps"] if one["layer"]]) == 2
    hidden = {one["name"]: one for one in found["detail"]["config"]["env"]}
    assert hidden["API_TOKEN"]["value"] != "hunter2"
    assert hidden["PATH"]["value"] == "/bin"
    told = await owner.ask("GET", f"{REPOSITORY}/-/comparison?a=1&b=2")
    assert not told["same"]
    assert told["shared_bytes"] == len(shared)
    await owner.ask("GET", f"{REPOSITORY}/-/images/nothing", status=404)
    await owner.ask("GET", f"{REPOSITORY}/-/images/1?platform=%2F%2F%2F", status=400)


@on_both_databases
async def test_files_of_an_image(owner: Owner) -> None:
    await owner.push("1", layer(bin_sh=b"a shell", etc_motd=b"one"))
    await owner.push("2", layer(bin_sh=b"a shell", etc_motd=b"and two"))
    for tag in ("1", "2"):
        await owner.listed(f"{REPOSITORY}/-/images/{tag}/files")
    images = f"{REPOSITORY}/-/images/1"
    top = (await owner.ask("GET", f"{images}/files"))["items"]
    assert [one["path"] for one in top] == ["bin", "etc"]
    assert {one["kind"] for one in top} == {"directory"}
    (motd,) = (await owner.ask("GET", f"{images}/files?path=etc"))["items"]
    assert (motd["path"], motd["kind"], motd["size"]) == ("etc/motd", "file", 3)
    assert motd["sha256"] == str(Digest.of(b"one")).partition(":")[2]
    found = (await owner.ask("GET", f"{images}/found-files?text=MOT"))["items"]
    assert [one["path"] for one in found] == ["etc/motd"]
    answer = await owner.send("GET", f"{images}/file?path=etc/motd")
    assert answer.body == b"one"
    assert answer["Content-Type"] == "application/octet-stream"
    assert 'attachment; filename="motd"' in answer["Content-Disposition"]
    await owner.ask("GET", f"{images}/file?path=etc/../../passwd", status=404)
    await owner.ask("GET", f"{images}/file?path=%2500", status=400)
    (change,) = (await owner.ask("GET", f"{REPOSITORY}/-/file-differences?a=1&b=2"))["items"]
    assert (change["path"], change["change"], change["growth"]) == ("etc/motd", "modified", 4)
    waste = await owner.ask("GET", f"{images}/waste")
    assert waste["stored"] == waste["seen"] == 10


@on_both_databases
async def test_settings_and_the_readme(owner: Owner) -> None:
    await owner.push("1", layer(etc_motd=b"one"))
    changed = await owner.ask(
        "PATCH", f"{REPOSITORY}/-/settings", {"public": True, "description": "An app"}
    )
    assert changed["public"]
    assert any(one["because"] == "the repository is public" for one in changed["rights"])
    await owner.ask("PUT", f"{REPOSITORY}/-/readme", {"text": "# Hello"}, 204)
    overview = await owner.ask("GET", REPOSITORY)
    assert (overview["readme"], overview["repository"]["description"]) == ("# Hello", "An app")
    await owner.ask("DELETE", f"{REPOSITORY}/-/readme", status=204)
    await owner.ask("DELETE", f"{REPOSITORY}/-/readme", status=404)
    events = (await owner.ask("GET", f"{REPOSITORY}/-/activity"))["items"]
    assert "repository.set" in {one["action"] for one in events}
    assert {one["actor"] for one in events} == {"user:owner"}
    days = await owner.ask("GET", f"{REPOSITORY}/-/traffic?days=3")
    assert len(days["days"]) == 3


@on_both_databases
async def test_what_is_deleted_is_told_before(owner: Owner) -> None:
    first = await owner.push("1", layer(etc_motd=b"one"))
    await owner.push("2", layer(etc_motd=b"two"))
    targets = {"tags": [{"tag": "2"}, {"tag": "3"}], "digests": [str(first)]}
    impact = await owner.ask("POST", f"{REPOSITORY}/-/deletion-impacts", targets)
    assert impact["unknown"] == ["3"]
    assert impact["other_tags"] == ["1"]
    assert impact["freed_here"] > 0
    await owner.ask("GET", f"{REPOSITORY}/-/versions/{first}")
    done = await owner.ask("POST", f"{REPOSITORY}/-/deletions", targets)
    assert {one["target"]: one["result"] for one in done["items"]} == {
        "2": "deleted",
        "3": "unknown",
        str(first): "deleted",
    }
    await owner.ask("DELETE", f"{REPOSITORY}/-/tags/2", status=404)
    await owner.push("4", layer(etc_motd=b"four"))
    await owner.ask("DELETE", f"{REPOSITORY}/-/tags/4?digest={first}", status=412)
    await owner.ask("DELETE", f"{REPOSITORY}/-/tags/4", status=204)
    whole = await owner.ask("GET", f"{REPOSITORY}/-/whole")
    assert whole["manifests"] == 2
    assert whole["freed"] is None  # others may hold the same, where the owner sees nothing
    await owner.ask("DELETE", REPOSITORY)
    (gone,) = (
        one
        for one in (await owner.ask("GET", f"{REPOSITORY}/-/activity"))["items"]
        if one["action"] == "repository.delete"
    )
    assert gone["details"]["manifests"] == 2
    assert "freed" not in gone["details"]
    await owner.ask("GET", REPOSITORY, status=404)
