"""Every command of `kho` that speaks to a registry, against every kind of registry.

A test is named after its commands, which the last one here holds against the list of commands.
"""

import contextlib
import hashlib
import json
import re
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kho.cli.main import COMMANDS
from tests.clouds.world import World, world

from .clients import ROOT, program
from .kho_client import Kho
from .processes import outcome, run
from .sites import SITES, Site, distribution_site, khod_site, of_cloud
from .small_images import SmallImage, small_image

# These ask no registry.
HERE_ALONE = {"completion", "images", "load", "prune", "rmi", "tag"}
_AT_WORK = ("-q",)


@pytest.fixture(scope="module")
def planet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The network of the clouds."""
    folder = tmp_path_factory.mktemp("clouds")
    with world(folder) as found:
        yield found
    shutil.rmtree(folder)


@pytest.fixture(scope="module", params=SITES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """One registry after the other."""
    makers = {"khod": khod_site, "distribution": distribution_site}
    with contextlib.ExitStack() as stack:
        if request.param in makers:
            home = tmp_path_factory.mktemp("site") / "home"
            yield stack.enter_context(makers[request.param](home))
        else:
            yield of_cloud(request.param, request.getfixturevalue("planet"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallImage:
    """One layer with one file of 40 KB, `random`."""
    return small_image(tmp_path_factory.mktemp("every") / "image", 40_000)


@pytest.fixture(scope="module")
def member(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Kho:
    """Who has logged in."""
    found = site.somebody(tmp_path_factory.mktemp("member") / "home")
    login(found, site)
    return found


@pytest.fixture(scope="module")
def there(member: Kho, site: Site, small: SmallImage) -> str:
    """The image in the registry."""
    found = f"{site.reference}:1"
    assert member.run("copy", f"oci:{small.layout}:small", found).strip() == small.digest
    return found


@pytest.fixture
def kho(site: Site, member: Kho, tmp_path: Path) -> Kho:
    """The same user at another machine, where nothing is stored but the login."""
    found = site.somebody(tmp_path / "home")
    found.env["DOCKER_CONFIG"] = member.env["DOCKER_CONFIG"]
    return found


@pytest.fixture
def stranger(site: Site, tmp_path: Path) -> Kho:
    """Who has not logged in."""
    return site.somebody(tmp_path / "stranger")


def login(who: Kho, site: Site) -> None:
    words = ("login", site.host, "-u", site.user, "--password-stdin")
    ended = who.ended(*words, stdin=site.secret).must_succeed()
    assert f"Logged in to {site.host} as {site.user}" in ended.said
    assert site.secret not in ended.said


def test_login_whoami_logout(stranger: Kho, site: Site) -> None:
    words = ("login", site.host, "-u", site.user, "--password-stdin")
    ended = stranger.ended(*words, stdin="wrong")
    assert ended.status == 4
    assert "user name and password not accepted" in ended.said
    assert not (stranger.home / ".docker").exists()
    login(stranger, site)
    found = stranger.json("whoami", site.host)
    told = (found["host"], found["user"], found["state"])
    assert told == (site.host, site.user, "accepted")
    stranger.run("logout", site.host)
    assert stranger.ended("whoami", site.host).status == 4


def test_ping_doctor(stranger: Kho, kho: Kho, site: Site) -> None:
    scheme = "basic" if site.name in ("ecr", "distribution") else "bearer"
    assert stranger.json("ping", site.host)["login"] == scheme
    steps = {one["step"]: one["verdict"] for one in stranger.json("doctor", site.host)["steps"]}
    assert steps["login"] == "warn"
    assert steps["TLS"] == "ok"
    told = kho.json("doctor", site.reference, "--push")["steps"]
    steps = {one["step"]: one["verdict"] for one in told}
    assert {steps[step] for step in ("login", "push", "pull", "ranges", "clean-up")} == {"ok"}


def test_digest_tags(kho: Kho, stranger: Kho, there: str, site: Site, small: SmallImage) -> None:
    assert kho.json("digest", there)["digest"] == small.digest
    assert "1" in kho.run("tags", site.reference).split()
    ended = stranger.ended("digest", there)
    assert ended.status == 4
    assert f"log in to {site.host}" in ended.said or "not accepted" in ended.said


def test_copy_save(kho: Kho, there: str, site: Site, small: SmallImage, tmp_path: Path) -> None:
    assert small.digest in kho.run("copy", there, f"oci:{tmp_path}/back:1")
    assert small.digest in kho.run("copy", there, f"{site.beside}:2")
    kho.run("save", "-o", tmp_path / "saved.tar", there)
    run(program("crane"), "validate", "--tarball", tmp_path / "saved.tar")
    skopeo = (program("skopeo"), "inspect", "--format={{.Digest}}")
    assert run(*skopeo, f"oci:{tmp_path}/back:1").strip() == small.digest


def test_pull_push(kho: Kho, there: str, site: Site, small: SmallImage) -> None:
    kho.run("pull", there)
    pushed = f"{site.beside}:pushed"
    assert small.digest in kho.run("push", there, pushed)
    assert small.digest in kho.run("push", f"oci:{small.layout}:small", f"{site.beside}:again")
    assert kho.run("digest", pushed).split()[-1] == small.digest


def test_sync(kho: Kho, there: str, site: Site, small: SmallImage, tmp_path: Path) -> None:
    shutil.copytree(small.layout, tmp_path / "from")
    assert kho.run("sync", "-q", f"oci:{tmp_path}/from", site.beside).endswith("1 copied\n")
    words = ("sync", "-q", site.reference, f"oci:{tmp_path}/mirror", "--tag", "1")
    assert kho.run(*words).endswith("1 copied\n")
    assert there.endswith(":1")
    assert kho.run(*words) == "1 same\n"


def test_manifest_blob(kho: Kho, there: str, site: Site, small: SmallImage, tmp_path: Path) -> None:
    told = kho.json("manifest", there)
    assert told["digest"] == small.digest
    (layer,) = told["manifest"]["layers"]
    kho.run("blob", f"{site.reference}@{layer['digest']}", "-o", tmp_path / "layer")
    content = (tmp_path / "layer").read_bytes()
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == layer["digest"]
    (tmp_path / "new").write_bytes(site.name.encode())
    digest = kho.run("blob", site.reference, "--put", tmp_path / "new").strip()
    assert digest == f"sha256:{hashlib.sha256(site.name.encode()).hexdigest()}"
    (tmp_path / "manifest").write_bytes(kho.raw("manifest", there))
    put = kho.run("manifest", f"{site.reference}:put", "--put", tmp_path / "manifest")
    assert put.strip() == small.digest


def test_inspect_history_tree_validate(kho: Kho, there: str, small: SmallImage) -> None:
    (found,) = kho.json("inspect", there)
    assert found["Digest"] == small.digest
    assert [one["digest"] for one in kho.json("history", there)] == [found["Layers"][0]["Digest"]]
    assert kho.json("tree", there)["filesSize"] == 40_000
    told = kho.json("validate", there)
    assert (told["good"], told["blobs"]) == (True, 2)


def test_cat_ls_diff_unpack(kho: Kho, there: str, small: SmallImage, tmp_path: Path) -> None:
    content = kho.raw("cat", f"{there}:/random")
    with tarfile.open(next_layer(small)) as tar:
        file = tar.extractfile("random")
        assert file is not None
        assert content == file.read()
    assert kho.run("ls", f"{there}:/").split() == ["random"]
    assert kho.json("diff", there, f"oci:{small.layout}:small", "--exit-code")["same"] is True
    kho.run("unpack", there, tmp_path / "root", "--rootless")
    assert (tmp_path / "root/random").read_bytes() == content


def next_layer(image: SmallImage) -> Path:
    blobs = image.layout / "blobs/sha256"
    manifest = json.loads((blobs / image.digest.removeprefix("sha256:")).read_bytes())
    layer: str = manifest["layers"][0]["digest"]
    return blobs / layer.removeprefix("sha256:")


def test_ls_search(kho: Kho, there: str, site: Site) -> None:
    assert there.startswith(site.reference)
    listed, found = kho.ended("ls", site.host), kho.ended("search", f"{site.host}/app")
    assert site.reference.removeprefix("docker.io/") in found.must_succeed().said.split()
    assert ("has no search" in found.said) == (site.name not in {"hub", "khod"})
    if site.name == "hub":
        assert listed.status == 4
        assert "catalog of docker.io" in listed.said
    else:
        assert site.reference in listed.must_succeed().said.split()


def test_attach_referrers(kho: Kho, there: str, tmp_path: Path) -> None:
    (tmp_path / "sbom.json").write_text("{}")
    kind = "application/vnd.lab.sbom"
    attached = kho.run(
        "attach", there, tmp_path / "sbom.json", "--artifact-type", kind, "-q"
    ).strip()
    assert attached in [one["digest"] for one in kho.json("referrers", there)]
    kho.run("copy", there, f"oci:{tmp_path}/with:1", "--referrers")
    assert (tmp_path / "with/blobs/sha256" / attached.removeprefix("sha256:")).exists()


def test_mutate_delete(kho: Kho, there: str, site: Site) -> None:
    made = f"{site.reference}:made"
    kho.run("mutate", there, "--label", "a=b", "-t", made)
    (found,) = kho.json("inspect", made)
    assert found["Config"]["Labels"] == {"a": "b"}
    kho.run("delete", "--image", made)
    assert kho.ended("digest", made).status == 3
    assert kho.ended("digest", there).status == 0


def test_pack_append_rebase_flatten(kho: Kho, there: str, site: Site, tmp_path: Path) -> None:
    for name in ("base", "own"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(f"{name} of {site.name}")
    newer, image, flat = (f"{site.reference}:{tag}" for tag in ("newer", "image", "flat"))
    kho.run("pack", tmp_path / "base", newer, "--platform", "linux/amd64", *_AT_WORK)
    kho.run("append", there, image, "--dir", tmp_path / "own", *_AT_WORK)
    assert kho.run("ls", f"{image}:/").split() == ["own", "random"]
    kho.run("rebase", image, "--old-base", there, "--new-base", newer, *_AT_WORK)
    kho.run("flatten", image, "-t", flat, *_AT_WORK)
    (found,) = kho.json("inspect", flat)
    assert len(found["Layers"]) == 1
    assert kho.run("ls", f"{flat}:/").split() == ["base", "own"]
    assert kho.run("cat", f"{flat}:/own") == f"own of {site.name}"


def test_artifact(kho: Kho, site: Site, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"content")
    name = f"{site.reference}:artifact"
    words = (tmp_path / "model.bin", "--artifact-type", "application/x.lab")
    kho.run("artifact", "push", name, *words)
    kho.run("artifact", "pull", name, tmp_path / "back")
    assert [one.read_bytes() for one in (tmp_path / "back").rglob("*.bin")] == [b"content"]


@pytest.mark.parametrize("name", ["crane", "skopeo"])
def test_others_and_kho_see_the_same(
    name: str, kho: Kho, site: Site, there: str, small: SmallImage, tmp_path: Path
) -> None:
    """The clouds are shaped as others know them, too; each reads what the other pushed."""
    env = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}
    env["REGISTRY_AUTH_FILE"] = str(tmp_path / "config.json")
    if site.ca is not None:
        env["SSL_CERT_FILE"] = str(site.ca)

    def do(*words: str | Path, stdin: str | None = None) -> str:
        command = (*site.inside, program(name), *words)
        return outcome(*command, env=env, stdin=stdin).must_succeed().said

    account = ("-u", site.user, "--password-stdin")
    theirs = f"{site.reference}:{name}"
    if name == "crane":
        host = "index.docker.io" if site.host == "docker.io" else site.host
        do("auth", "login", host, *account, stdin=site.secret)
        assert small.digest in do("digest", there)
        do("pull", there, tmp_path / "image.tar")
        do("push", small.layout, theirs)
    else:
        tls = "=true" if site.ca else "=false"
        do("login", f"--tls-verify{tls}", site.host, *account, stdin=site.secret)
        do("copy", f"--src-tls-verify{tls}", f"docker://{there}", f"oci:{tmp_path}/pulled:1")
        layout = f"oci:{small.layout}:small"
        do("copy", f"--dest-tls-verify{tls}", layout, f"docker://{theirs}")
    kho.run("pull", theirs)
    assert kho.run("images", "-q", theirs).strip() == small.digest


def tried() -> set[str]:
    """The commands that the tests here are named after."""
    names = [name for name in vars(sys.modules[__name__]) if name.startswith("test_")]
    return {word for name in names for word in name.split("_")} & COMMANDS.keys()


def table() -> dict[str, list[str]]:
    """The page's table of commands: the cells by the command."""
    found = {}
    for line in (ROOT / "docs/interop.md").read_text().splitlines():
        first, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        for name in re.findall(r"`kho ([a-z]+)`", first) if cells else ():
            found[name] = cells
    return found


def test_none_is_left_out() -> None:
    assert tried() == COMMANDS.keys() - HERE_ALONE
    assert table().keys() == tried()
    assert {len(cells) for cells in table().values()} == {len(SITES)}
