"""The local store and its commands, against khod and distribution, and beside other clients."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from kho.oci.digest import Digest

from .clients import program
from .engines import docker_engine
from .images import DebianImage
from .kho_client import KHO, Kho
from .processes import run
from .servers import Server
from .small_images import SmallImage, TwoPlatforms

PLAIN = ("--src-tls-verify=false", "--dest-tls-verify=false")


def skopeo(source: str, target: str, *more: str) -> None:
    run(program("skopeo"), "--insecure-policy", "copy", "--all", *PLAIN, *more, source, target)


def crane(*words: str | Path) -> str:
    return run(program("crane"), "--insecure", *words)


def names(kho: Kho) -> list[str]:
    return [one["name"] for one in kho.json("images")]


@pytest.fixture
def pushed(kho: Kho, either: Server, image: SmallImage, request: pytest.FixtureRequest) -> str:
    """The small image in a repository of this test."""
    repository = f"{either.host}/store/{Digest.of(request.node.name.encode()).hex[:12]}"
    assert kho.run("push", f"oci:{image.layout}", f"{repository}:1").strip() == (
        f"{repository}:1@{image.digest}"
    )
    return repository


def test_pull_push_and_all_that_is_told_of_an_image(
    kho: Kho, pushed: str, image: SmallImage
) -> None:
    name = f"{pushed}:1"
    assert kho.run("pull", name) == f"{name}@{image.digest}\n"
    assert kho.run("pull", "-q", f"{pushed}@{image.digest}") == f"{pushed}@{image.digest}\n"
    (again,) = kho.json("pull", name)
    assert (again["unchanged"], again["blobs"]) == (True, {})
    one, two = kho.json("images")
    assert (one["name"], one["digest"], one["platforms"]) == (name, image.digest, ["linux/amd64"])
    assert (two["repository"], two["tag"]) == (pushed, None)
    assert kho.run("images", "-q", name) == f"{image.digest}\n"
    assert kho.json("images", "--filter", "reference=nothing") == []
    (told,) = kho.json("inspect", name)
    assert told["RepoTags"] == [name]
    assert told["RepoDigests"] == [f"{pushed}@{image.digest}"]
    assert told["Config"] == {"Cmd": ["/nothing"]}
    assert told["Id"] in kho.run("inspect", "--raw", name)
    assert Digest.of(kho.run("inspect", "--config", name).encode()) == Digest.parse(told["Id"])
    assert 'Command      ["/nothing"]' in kho.run("inspect", image.digest[7:19])
    (layer,) = kho.json("history", name)
    assert (layer["digest"], layer["size"]) == (
        told["Layers"][0]["Digest"],
        told["Layers"][0]["Size"],
    )
    elsewhere = f"{pushed}/elsewhere"
    kho.run("tag", name, f"{elsewhere}:2")
    (sent,) = kho.json("push", f"{elsewhere}:2")
    assert set(sent["blobs"].values()) == {"mounted"}
    kho.run("tag", image.digest[7:15], f"{elsewhere}:3")
    assert kho.run("push", "--all-tags", elsewhere).count("\n") == 2
    kho.run("push", f"local:{name}", f"{elsewhere}:4", f"{elsewhere}:5", f"{pushed}/third:1")
    assert sorted(crane("ls", elsewhere).split()) == ["2", "3", "4", "5"]
    crane("validate", "--remote", f"{pushed}/third:1")
    assert crane("digest", f"{elsewhere}:5").strip() == image.digest


def test_rmi_and_prune(kho: Kho, pushed: str, image: SmallImage) -> None:
    name = f"{pushed}:1"
    kho.run("pull", name)
    kho.run("tag", name, "app:1")
    assert "several names, --force" in kho.refused("rmi", image.digest)
    assert kho.run("rmi", name) == f"Untagged: {name}\n"
    assert "no image 'nothing'" in kho.refused("rmi", "nothing", "app:1")
    assert names(kho) == []
    assert not list((kho.store / "blobs/sha256").iterdir())
    kho.run("pull", name)
    assert f"Deleted: {image.digest}" in kho.run("rmi", image.digest[7:20])
    (kho.store / "ingest" / f"sha256-{'0' * 64}").write_bytes(b"part")
    assert kho.json("prune") == {"deleted": [], "parts": 0, "size": 0}
    assert kho.json("prune", "--parts") == {"deleted": [], "parts": 1, "size": 4}
    assert "no image" in kho.refused("push", name)


def test_platforms(kho: Kho, either: Server, both: TwoPlatforms, tmp_path: Path) -> None:
    name = f"{either.host}/store/both:1"
    skopeo(f"oci:{both.layout}:both", f"docker://{name}")
    assert kho.run("pull", "--platform", "linux/arm64", name) == f"{name}@{both.index}\n"
    (one,) = kho.json("images")
    assert (one["digest"], one["image"], one["platforms"]) == (
        both.index,
        both.arm64,
        ["linux/arm64"],
    )
    (told,) = kho.json("inspect", name)
    assert (told["Index"], told["Architecture"]) == (both.index, "arm64")
    assert told["RepoDigests"] == [f"{either.host}/store/both@{both.index}"]
    (other,) = kho.json("inspect", "--platform", "amd64", name)  # of the registry
    assert (other["Digest"], other["Index"]) == (both.amd64, both.index)
    kho.run("push", name, f"{either.host}/store/both:arm")
    assert crane("digest", f"{either.host}/store/both:arm").strip() == both.arm64
    assert "there are: linux/amd64, linux/arm64" in kho.refused("pull", "--platform", "s390x", name)
    kho.run("pull", "--all-platforms", name)
    (one,) = kho.json("images")
    assert (one["image"], one["platforms"]) == (both.index, ["linux/amd64", "linux/arm64"])
    kho.run("push", name, f"{either.host}/store/copy:1")
    skopeo(f"docker://{either.host}/store/copy:1", f"oci:{tmp_path}/back:both")
    (entry,) = json.loads((tmp_path / "back/index.json").read_text())["manifests"]
    assert entry["digest"] == both.index


def test_images_of_others_are_pulled_and_pushed_images_are_read_by_them(
    kho: Kho, either: Server, image: SmallImage, tmp_path: Path
) -> None:
    repository = f"{either.host}/store/others"
    crane("push", image.layout, f"{repository}:crane")
    skopeo(f"docker-archive:{image.docker_archive}", f"docker://{repository}:skopeo")
    done = kho.json("pull", f"{repository}:crane", f"{repository}:skopeo")
    assert [one["digest"] for one in done] == [
        crane("digest", f"{repository}:{tag}").strip() for tag in ("crane", "skopeo")
    ]
    assert done[1]["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    kho.run("push", f"docker-archive:{image.docker_archive}", f"{repository}:archive")
    kho.run("push", f"oci-archive:{image.oci_archive}", f"{repository}:oci")
    for tag in ("archive", "oci"):
        crane("validate", "--remote", f"{repository}:{tag}")
    # The store as a layout of others.
    skopeo(f"oci:{kho.store}:{repository}:crane", f"docker://{repository}:from-store")
    assert crane("digest", f"{repository}:from-store").strip() == image.digest
    crane("pull", "--format=oci", f"{repository}:crane", tmp_path / "crane")
    kho.run("push", f"oci:{tmp_path}/crane", f"{repository}:back")
    assert crane("digest", f"{repository}:back").strip() == image.digest
    run(program("umoci"), "init", "--layout", tmp_path / "umoci")
    run(program("umoci"), "new", "--image", f"{tmp_path}/umoci:empty")
    kho.run("push", f"oci:{tmp_path}/umoci:empty", f"{repository}:umoci")
    (told,) = kho.json("inspect", f"{repository}:umoci")
    assert told["Layers"] == []


def test_docker_pulls_what_kho_pushed_and_back(
    kho: Kho, registry: Server, image: SmallImage, scratch: Path
) -> None:
    name = f"{registry.host}/store/docker"
    kho.run("push", f"oci:{image.layout}", f"{name}:1")
    with docker_engine(scratch / "docker") as engine:
        docker = (*engine, "--config", scratch / "config")
        run(*docker, "pull", f"{name}:1")
        run(*docker, "tag", f"{name}:1", f"{name}:2")
        run(*docker, "push", f"{name}:2")
    kho.run("pull", f"{name}:2")
    (told,) = kho.json("inspect", f"{name}:2")
    assert told["Config"]["Cmd"] == ["/nothing"]


def start(kho: Kho, *words: str) -> "subprocess.Popen[str]":
    env = {**os.environ, **kho.env}
    return subprocess.Popen(
        [KHO, *words], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_eight_processes_share_a_store(
    kho: Kho, registry: Server, debian: DebianImage, image: SmallImage
) -> None:
    name = f"{registry.host}/store/crowd"
    kho.run("push", f"oci:{debian.layout}", f"{name}:debian")
    kho.run("push", f"oci:{image.layout}", f"{name}:small")
    running = [start(kho, "pull", f"{name}:{tag}") for tag in ["debian"] * 5 + ["small"] * 3]
    running.append(start(kho, "prune", "--wait", "120"))
    told = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0] * 9, told
    copied = [line for _, err in told[:5] for line in err.splitlines() if "copied" in line]
    layers = len(kho.json("inspect", f"{name}:debian")[0]["Layers"])
    assert len(copied) == len({line.split(":")[0] for line in copied}) == layers + 1
    assert sorted(names(kho)) == [f"{name}:debian", f"{name}:small"]
    assert not list((kho.store / "ingest").iterdir())
    skopeo(f"oci:{kho.store}:{name}:debian", f"oci:{kho.home}/out:debian")


def test_a_store_lives_through_kills(kho: Kho, registry: Server, debian: DebianImage) -> None:
    name = f"{registry.host}/store/kills:1"
    kho.run("push", f"oci:{debian.layout}", name)
    digest = crane("digest", name).strip()
    for number in range(12):
        process = start(kho, "pull", "-q", name)
        time.sleep(0.15 + 0.1 * number)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        assert names(kho) in ([], [name])
        if number % 4 == 3:  # also while the store is cleaned
            cleaning = start(kho, "rmi", name)
            time.sleep(0.25)
            cleaning.kill()
            cleaning.communicate(timeout=30)
            kho.run("prune")
    assert kho.run("pull", name) == f"{name}@{digest}\n"
    skopeo(f"oci:{kho.store}:{name}", f"oci:{kho.home}/out:debian")


def test_where_nothing_can_be_written(kho: Kho, pushed: str, image: SmallImage) -> None:
    kho.run("pull", f"{pushed}:1")
    disk = kho.home / "small-disk"
    disk.mkdir()
    inside = 'mount -t tmpfs -o size=600k none "$1" && KHO_STORE="$1/store" "$2" pull -q "$3"; '
    check = 'code=$?; ls "$1/store/blobs/sha256" | wc -l; cat "$1/store/index.json"; exit $code'
    command = ("unshare", "--mount", "sh", "-c", inside + check, "sh", disk, KHO, f"{pushed}:1")
    done = subprocess.run(
        command, env={**os.environ, **kho.env}, text=True, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert f"cannot write to {disk}/store: No space left on device" in done.stderr
    assert done.stdout in ("0\n", "1\n")  # the config at most; no layer, no manifest, no index
    read_only = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && "$2" '
    for words, code, told in (
        ("images", 0, pushed),
        (f"inspect {pushed}:1", 0, image.digest),
        (f"push {pushed}:1 {pushed}:again", 0, image.digest),
        (f"pull {pushed}:again", 1, "cannot write to"),
        (f"rmi {pushed}:1", 1, "Read-only file system"),
        (f"tag {pushed}:1 x:1", 1, "Read-only file system"),
    ):
        again = ("unshare", "--mount", "sh", "-c", read_only + words, "sh", kho.store, KHO)
        done = subprocess.run(
            again, env={**os.environ, **kho.env}, text=True, capture_output=True, check=False
        )
        assert (done.returncode, told in done.stdout + done.stderr) == (code, True), done
