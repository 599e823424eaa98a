"""A registry as a team has it: people, rights, and images of all kinds."""

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.interop.images import DebianImage
from tests.interop.processes import outcome
from tests.interop.servers import KHOD, Server, serving

from .content import Hand, Json, layer

ADMIN = "ada"
PASSWORDS = {
    "ada": "administers-all-42",
    "rita": "reads-of-team-42",
    "mona": "maintains-team-42",
}
SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"
SBOM = "application/spdx+json"
CHART = "application/vnd.example.recipe.v1+json"
README = """# Debian

The *base* of all our images, with `git` and `python3`.

| tag | until |
| --- | ----- |
| 12  | 2028  |

- [where it comes from](https://www.debian.org/)
- rebuilt each night

```
docker run --rm -it localhost:5000/team/debian:12
```
"""
_PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class World:
    """The server, and the digests of what is in it."""

    server: Server
    digests: Mapping[str, str]

    @property
    def base(self) -> str:
        """Where browsers go."""
        return f"http://{self.server.host}"

    def hand(self, name: str = ADMIN) -> Hand:
        """Somebody with HTTP."""
        return Hand(self.server.port, name, PASSWORDS.get(name, ""))


def started(home: Path) -> contextlib.AbstractContextManager[Server]:
    """A khod with an administrator and nothing else."""
    data = home / "data"
    data.mkdir(parents=True)
    add = (KHOD, "users", "add", ADMIN, "--admin", "--password-stdin", "--data", data)
    outcome(*add, stdin=PASSWORDS[ADMIN]).must_succeed()
    return serving(home, kind="khod")


@contextlib.contextmanager
def world(home: Path, debian: DebianImage | None = None) -> Iterator[World]:
    """Run it; with Debian in several tags, or small images in its place."""
    with started(home) as server:
        hand = Hand(server.port, ADMIN, PASSWORDS[ADMIN])
        _people(hand)
        digests = {**_debian(hand, debian), **_multi(hand), **_odd(hand)}
        hand.api("POST", "/checks", {})
        yield World(server, digests)
    shutil.rmtree(home)


def _people(hand: Hand) -> None:
    for name in ("rita", "mona"):
        hand.api("POST", "/users", {"name": name, "password": PASSWORDS[name]})
    hand.api("POST", "/groups", {"name": "web"})
    hand.api("PUT", "/groups/web/members/rita")
    hand.api("POST", "/robots", {"name": "ci", "description": "builds and pushes"})
    hand.api("POST", "/roles", {"name": "deployer", "actions": ["pull", "push"]})
    for subject, role, pattern in (
        ("user:rita", "reader", "team/**"),
        ("user:mona", "maintainer", "team/**"),
        ("group:web", "reader", "web/*"),
        ("robot:ci", "deployer", "team/*"),
    ):
        hand.api("POST", "/grants", {"subject": subject, "role": role, "pattern": pattern})
    for owner, name in (("robot:ci", "builds"), ("user:ada", "laptop")):
        hand.api("POST", "/tokens", {"owner": owner, "name": name, "scopes": ["team/**:pull"]})
    conditions = {"repository": ["kho/app"], "repository_id": ["17"]}
    rule = {"name": "actions", "robot": "ci", "issuer": "https://ci.example.com"}
    hand.api("POST", "/trust", {**rule, "audience": "kho", "conditions": conditions})


def _debian(hand: Hand, image: DebianImage | None) -> dict[str, str]:
    """Tags of one image and of one that has two layers more; one tag moved, one deleted."""
    repository = "team/debian"
    if image is None:
        files = {f"etc/file{number}": b"text\n" for number in range(20)}
        layers = [layer({**files, "etc/hostname": b"old\n", "bin/sh": b"\x7fELF\0"})]
        kept: Json = {"config": {"Cmd": ["sh"]}}
        first = hand.image(repository, "12.1", *layers, config=kept)
    else:
        layout = image.folder / "debian"
        body = _blob(layout, image.digest)
        value = json.loads(body)
        kept = json.loads(_blob(layout, value["config"]["digest"]))
        layers = [_blob(layout, one["digest"]) for one in value["layers"]]
        hand.blob(repository, _blob(layout, value["config"]["digest"]))
        for one in layers:
            hand.blob(repository, one)
        first = hand.manifest(repository, "12.1", body)
    again = _manifest(hand, repository, "12.1")
    for tag in ("latest", "old"):
        hand.manifest(repository, tag, again)
    more = layer({"etc/hostname": b"web\n", "srv/app/main.py": b"print('hello')\n"})
    gone = layer({"etc/.wh.motd": b"", "srv/app/README": b"hello\n"})
    step = {"created_by": "COPY app /srv/app # buildkit", "created": "2026-11-01T00:00:00Z"}
    kept["history"] = [*kept.get("history", []), step, {"created_by": "RUN rm /etc/motd"}]
    config = {key: one for key, one in kept.items() if key != "rootfs"}
    second = hand.image(repository, "12.2", *layers, more, gone, config=config)
    for tag in ("12", "bookworm", "latest"):
        hand.manifest(repository, tag, _manifest(hand, repository, "12.2"))
    return {"first": first["digest"], "second": second["digest"]}


def _manifest(hand: Hand, repository: str, tag: str) -> bytes:
    return hand.ask("GET", f"/v2/{repository}/manifests/{tag}").body


def _blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs" / digest.replace(":", "/")).read_bytes()


def _multi(hand: Hand) -> dict[str, str]:
    """Two platforms in one index, and attestations as buildkit makes them."""
    children = []
    for architecture in ("amd64", "arm64"):
        files = {"app": architecture.encode() * 100}
        config = {"architecture": architecture, "config": {"Entrypoint": ["/app"]}}
        child = hand.image("team/multi", None, layer(files), config=config)
        platform = {"os": "linux", "architecture": architecture}
        children.append({**child, "platform": platform})
    index = hand.index("team/multi", "1.0", children)
    hand.index("team/multi", "2.0", children, annotations={"org.example.release": "2"})
    return {"index": index["digest"], "arm64": children[1]["digest"]}


def _odd(hand: Hand) -> dict[str, str]:
    """Labels and secrets, a signature, an SBOM; what is no image; what is public."""
    labels = {
        "org.opencontainers.image.source": "https://git.example.com/team/odd",
        "org.opencontainers.image.licenses": "MIT AND Apache-2.0",
        "org.opencontainers.image.description": "An image with odd labels",
        "odd key with spaces": "a value of " + "very " * 40 + "many words",
        "unbroken": "x" * 400,
    }
    env = ["PATH=/usr/bin", "DATABASE_PASSWORD=hunter22", "AWS_SECRET_ACCESS_KEY=abcdefghijklmnop"]
    run = {"Env": env, "Labels": labels, "Cmd": ["serve"], "ExposedPorts": {"80/tcp": {}}}
    odd = hand.image("team/odd", "1", layer({"a b": b"c"}, {"link": "a b"}), config={"config": run})
    hand.artifact("team/odd", None, SIGNATURE, b'{"signature": "x"}', subject=odd)
    hand.artifact("team/odd", None, SBOM, b'{"spdxVersion": "SPDX-2.3"}', subject=odd)
    chart = hand.artifact("team/recipe", "v1", CHART, b"flour and water")
    hand.image("public/hello", "latest", layer({"hello": b"hello\n"}), config={})
    hand.api("PATCH", "/repositories/public/hello/-/settings", {"public": True})
    hand.api("PUT", "/repositories/team/debian/-/readme", {"text": README})
    return {"odd": odd["digest"], "chart": chart["digest"]}


def wait_for_files(found: World, *images: str) -> None:
    """Until the files of these images are listed."""
    deadline = time.monotonic() + _PATIENCE
    for image in images:
        name, _, reference = image.rpartition(":")
        path = f"/repositories/{name}/-/images/{reference}/files"
        while any(one["state"] != "refused" for one in _unlisted(found, path)):
            assert time.monotonic() < deadline, f"the files of {image} are not listed"
            time.sleep(0.3)


def _unlisted(found: World, path: str) -> list[Json]:
    listed: list[Json] = found.hand().api("GET", path)["unlisted"]
    return listed
