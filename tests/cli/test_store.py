"""The commands of the local store, as a user calls them, without a registry."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest

from kho.client.local.store import LocalStore
from kho.oci.digest import Digest
from kho.remote.manifests import Manifest
from tests.client.images import CONFIG, blob, descriptor, image, manifest
from tests.interop.kho_client import KHO, Kho

NAME = "docker.io/library/app:1"


@pytest.fixture
def kho(tmp_path: Path) -> Kho:
    return Kho(tmp_path / "home")


@pytest.fixture
def store(kho: Kho) -> LocalStore:
    return LocalStore(kho.store)


@pytest.fixture
def stored(store: LocalStore) -> Manifest:
    """An image with a history, a name that a registry gave, and hostile labels."""
    config = {
        "architecture": "arm64",
        "os": "linux",
        "created": "2020-01-02T03:04:05.123456789Z",
        "author": "An",
        "config": {
            "Env": ["A=1"],
            "Entrypoint": ["/bin/app", "a b"],
            "Labels": {"x": "red\x1b[31m\nkho: done"},
            "User": "1000",
        },
        "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(b"1")), str(Digest.of(b"2"))]},
        "history": [
            {"created": "2020-01-01T00:00:00Z", "created_by": "ADD " + "long " * 20},
            {"created_by": "ENV A=1", "empty_layer": True, "comment": "nothing"},
            {"created_by": "COPY\tb"},
        ],
    }
    layers = [blob(store, content, "application/vnd.oci.image.layer.v1.tar") for content in LAYERS]
    made = manifest({"config": blob(store, json.dumps(config).encode(), CONFIG), "layers": layers})

    async def put() -> None:
        await store.take_manifest(made, None)
        await store.enroll(made, NAME, index=Digest.of(b"index"), sources=["ghcr.io/team/app"])

    asyncio.run(put())
    store.release()
    return made


LAYERS = b"a" * 2048, b"b" * 100


def test_nothing_is_listed_of_a_store_that_is_not_there(kho: Kho) -> None:
    assert kho.run("images").split() == [
        *("REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE", "PLATFORM")
    ]
    assert kho.json("images") == []
    assert kho.json("prune") == {"deleted": [], "parts": 0, "size": 0}
    assert "local has no image 'app'" in kho.refused("rmi", "app")
    assert "local has no image 'app'" in kho.refused("tag", "app", "b")
    assert "local has no image 'app'" in kho.refused("push", "app", "127.0.0.1:1/b")
    assert not kho.store.exists() or not (kho.store / "blobs").exists()


def test_images(kho: Kho, stored: Manifest) -> None:
    lines = kho.run("images", "--digests").splitlines()
    assert lines[1].split()[:4] == [
        "docker.io/library/app",
        "1",
        str(Digest.of(b"index")),
        stored.digest.hex[:12],
    ]
    assert lines[1].endswith("linux/arm64")
    assert "years ago" in lines[1]
    assert kho.run("images", "-q") == f"{stored.digest}\n"
    assert len(kho.run("images", "a*").splitlines()) == 2
    assert len(kho.run("images", "--filter", "reference=b*").splitlines()) == 1
    assert "is no filter" in kho.refused("images", "--filter", "dangling=true")


def test_inspect_in_words_and_in_docker_s_keys(kho: Kho, stored: Manifest) -> None:
    (told,) = kho.json("inspect", "--platform", "arm64", stored.digest.hex[:10])
    assert told["RepoTags"] == [NAME]
    assert told["RepoDigests"] == [f"ghcr.io/team/app@{Digest.of(b'index')}"]
    assert (told["Os"], told["Architecture"], told["History"]) == ("linux", "arm64", 3)
    assert [one["Size"] for one in told["Layers"]] == [2048, 100]
    assert told["RootFS"]["Layers"] == [str(Digest.of(b"1")), str(Digest.of(b"2"))]
    text = kho.run("inspect", "app:1")
    assert 'Entrypoint   ["/bin/app", "a b"]' in text
    assert "\x1b" not in text
    assert "\nkho: done" not in text
    assert kho.run("inspect", "--raw", "app:1") == stored.content.decode()
    assert "one image as it is stored" in kho.refused("inspect", "--raw", "--json", "app:1")


def test_history_has_the_last_step_first_and_the_sizes_of_layers(
    kho: Kho, stored: Manifest
) -> None:
    last, middle, first = kho.json("history", "app:1")
    assert (last["createdBy"], last["size"], last["digest"]) == (
        "COPY\tb",
        100,
        str(Digest.of(LAYERS[1])),
    )
    assert (middle["emptyLayer"], middle["size"], middle["comment"]) == (True, 0, "nothing")
    assert first["size"] == 2048
    lines = kho.run("history", "app:1").splitlines()
    assert lines[3].split("  ")[1].endswith("…")
    assert ("long " * 20).strip() in kho.run("history", "--no-trunc", "app:1")
    del stored


def test_tag_and_rmi(kho: Kho, stored: Manifest) -> None:
    assert kho.run("tag", "app:1", "localhost:5000/other") == ""
    assert "2 several" not in kho.run("images")
    told = kho.refused("rmi", stored.digest.hex[:12])
    assert "localhost:5000/other:latest" in told
    (told_of,) = kho.json("inspect", "localhost:5000/other")
    assert told_of["Index"] == str(Digest.of(b"index"))
    removed = kho.json("rmi", "--force", stored.digest.hex[:12])
    assert removed["untagged"] == [NAME, "localhost:5000/other:latest"]
    assert str(stored.digest) in removed["deleted"]
    assert removed["size"] > 2148
    assert kho.json("images") == []


def test_rmi_beside_a_pull_leaves_the_content_for_later(
    kho: Kho, store: LocalStore, stored: Manifest
) -> None:
    asyncio.run(store.share())
    assert kho.run("rmi", "app:1") == f"Untagged: {NAME}\n"
    assert "in use by other commands" in kho.refused("prune", "--wait", "0.1")
    assert store.path(stored.digest).exists()
    store.release()
    assert str(stored.digest) in kho.json("prune")["deleted"]


def test_what_cannot_be_read_is_told_and_the_rest_is_listed(
    kho: Kho, store: LocalStore, stored: Manifest
) -> None:
    asyncio.run(image(store, "docker.io/library/b:1"))
    store.release()
    store.path(stored.digest).unlink()
    one, two = kho.json("images")
    assert "has no sha256:" in one["problem"]
    assert two["problem"] is None
    kho.run("rmi", "app:1")
    assert [line["name"] for line in kho.json("images")] == ["docker.io/library/b:1"]


@pytest.mark.parametrize(
    "words, code, told",
    [
        (("pull", "oci:folder"), 2, "no name at a registry"),
        (("pull", "A b"), 2, "no reference"),
        (("pull", "--platform", "amd64", "-a", "x"), 2, "not both"),
        (("push", "oci:a", "oci:b"), 2, "no name at a registry"),
        (("push", "-a", "x:1"), 2, "without tag"),
        (("push", "-a", "x"), 3, "no image of docker.io/library/x"),
        (("push", "x"), 3, "no image 'x'"),
        (("tag", "x", "A"), 2, "no reference"),
        (("inspect", "oci:nowhere:x"), 3, "no such folder"),
        (("rmi", "x", "y"), 3, "no image 'y'"),
    ],
)
def test_what_goes_wrong_is_a_line_each(
    kho: Kho, words: tuple[str, ...], code: int, told: str
) -> None:
    done = subprocess.run(
        [KHO, *words],
        env={**os.environ, **kho.env},
        cwd=kho.home,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert all(line.startswith("kho: ") for line in done.stderr.splitlines())


def test_a_signature_is_not_in_the_list(kho: Kho, store: LocalStore, stored: Manifest) -> None:
    asyncio.run(image(store, None, subject=descriptor(stored)))
    store.release()
    assert len(kho.json("images")) == 1
    assert kho.json("prune")["deleted"] == []
