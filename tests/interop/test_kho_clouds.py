"""Every command of `kho` that speaks to a registry, against the clouds under their true names."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clouds.sky import NAMES
from tests.clouds.world import Account, World, world

from .clients import program
from .kho_client import KHO
from .processes import Outcome, outcome
from .small_images import SmallImage


@pytest.fixture(scope="module")
def planet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The network of the clouds."""
    folder = tmp_path_factory.mktemp("clouds")
    with world(folder) as found:
        yield found
    shutil.rmtree(folder)


class CloudKho:
    """`kho` in the clouds' network, with a home of its own."""

    def __init__(self, planet: World, home: Path) -> None:
        self.planet = planet
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        names = ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")
        self.env = {name: str(home / name.lower()) for name in names}
        self.env |= {"HOME": str(home), "SSL_CERT_FILE": str(planet.ca)}
        self.env |= {"DOCKER_CONFIG": str(home / ".docker"), "KHO_STORE": str(home / "store")}

    def run(self, *words: str | Path, stdin: str | None = None) -> Outcome:
        """How it ended."""
        return outcome(*self.planet.inside, KHO, *words, env=self.env, stdin=stdin)

    def __call__(self, *words: str | Path, stdin: str | None = None) -> str:
        """What it said; it must succeed."""
        return self.run(*words, stdin=stdin).must_succeed().said

    def json(self, *words: str | Path) -> Any:
        """What it printed with --json."""
        said = self(*words, "--json")
        return json.loads(said[min(i for i in (said.find("{"), said.find("[")) if i >= 0) :])


@pytest.fixture(params=NAMES)
def account(request: pytest.FixtureRequest, planet: World) -> Account:
    """A user of one cloud."""
    return planet.accounts[request.param]


@pytest.fixture
def stranger(planet: World, tmp_path: Path) -> CloudKho:
    """Somebody who has not logged in."""
    return CloudKho(planet, tmp_path / "stranger")


@pytest.fixture
def kho(planet: World, account: Account, tmp_path: Path) -> CloudKho:
    """Somebody who has."""
    found = CloudKho(planet, tmp_path / "home")
    words = ("login", account.host, "-u", account.user, "--password-stdin")
    said = found(*words, stdin=account.secret)
    assert f"Logged in to {account.host} as {account.user}" in said
    assert account.secret not in said
    return found


@pytest.fixture
def there(kho: CloudKho, account: Account, image: SmallImage) -> str:
    """The image in the cloud."""
    reference = f"{account.reference}:1"
    kho("copy", f"oci:{image.layout}:small", reference)
    return reference


def test_ping_and_doctor(stranger: CloudKho, account: Account) -> None:
    scheme = "basic" if "amazonaws" in account.host else "bearer"
    assert stranger.json("ping", account.host)["login"] == scheme
    steps = {one["step"]: one for one in stranger.json("doctor", account.host)["steps"]}
    assert (steps["TLS"]["verdict"], steps["login"]["verdict"]) == ("ok", "warn")


def test_doctor_pushes(kho: CloudKho, account: Account) -> None:
    steps = kho.json("doctor", account.reference, "--push")["steps"]
    verdicts = {one["step"]: one["verdict"] for one in steps}
    assert {verdicts[step] for step in ("login", "push", "pull", "ranges", "clean-up")} == {"ok"}


def test_a_wrong_password(stranger: CloudKho, account: Account) -> None:
    words = ("login", account.host, "-u", account.user, "--password-stdin")
    ended = stranger.run(*words, stdin="wrong")
    assert ended.status == 4
    assert "user name and password not accepted" in ended.said
    assert not (stranger.home / ".docker").exists()


def test_whoami_and_logout(kho: CloudKho, account: Account) -> None:
    found = kho.json("whoami", account.host)
    assert (found["host"], found["user"], found["state"]) == (
        *(account.host, account.user),
        "accepted",
    )
    assert [one["host"] for one in kho.json("whoami")] == [account.host]
    kho("logout", account.host)
    assert kho.run("whoami", account.host).status == 4


def test_digest_tags_and_copies(
    kho: CloudKho, there: str, account: Account, image: SmallImage, tmp_path: Path
) -> None:
    assert kho("digest", there).split()[-1] == image.digest
    assert "1" in kho("tags", account.reference).split()
    assert kho.json("digest", there)["digest"] == image.digest
    assert image.digest in kho("copy", there, f"oci:{tmp_path}/back:1")
    copy = f"{account.reference.rpartition('/')[0]}/copy:2"
    assert image.digest in kho("copy", there, copy)
    assert kho("digest", copy).split()[-1] == image.digest


def test_a_stranger_is_told_to_log_in(stranger: CloudKho, there: str, account: Account) -> None:
    ended = stranger.run("digest", there)
    assert ended.status == 4
    assert f"log in to {account.host}" in ended.said or "not accepted" in ended.said


def test_sync(kho: CloudKho, there: str, account: Account, tmp_path: Path) -> None:
    del there
    kho("sync", account.reference, f"oci:{tmp_path}/mirror")
    assert (tmp_path / "mirror/index.json").exists()


def test_pull_and_push(
    kho: CloudKho, there: str, account: Account, image: SmallImage, tmp_path: Path
) -> None:
    kho("pull", there)
    assert image.digest in kho("digest", there)
    pushed = f"{account.reference}:pushed"
    kho("push", there, pushed)
    assert image.digest in kho("digest", pushed)
    kho("push", f"oci:{image.layout}:small", pushed)
    kho("unpack", there, tmp_path / "root")
    assert (tmp_path / "root").is_dir()


def test_looking_into_an_image(kho: CloudKho, there: str, image: SmallImage) -> None:
    manifest = json.loads(kho("manifest", there))
    assert kho.json("manifest", there)["digest"] == image.digest
    layer = manifest["layers"][0]["digest"]
    where = there.rpartition(":")[0]
    kho("blob", f"{where}@{layer}", "-o", kho.home / "layer")
    assert (kho.home / "layer").stat().st_size == manifest["layers"][0]["size"]
    assert "random" in kho("ls", f"{there}:/")
    piped = outcome(
        *(*kho.planet.inside, "sh", "-c", '"$0" cat "$1" | wc -c'),
        *(KHO, f"{there}:/random"),
        env=kho.env,
    )
    assert piped.said.split() == [str(1024 * 1024)]
    kho("tree", there)
    assert kho.json("inspect", there)
    assert kho.json("history", there) is not None
    kho("diff", there, f"oci:{image.layout}:small", "--exit-code")
    kho("validate", there)


def test_what_refers_to_an_image(kho: CloudKho, there: str, tmp_path: Path) -> None:
    (tmp_path / "sbom.json").write_text("{}")
    words = ("attach", there, tmp_path / "sbom.json", "--artifact-type", "application/vnd.lab.sbom")
    attached = kho(*words, "-q").split()[-1]
    assert attached in [one["digest"] for one in kho.json("referrers", there)]
    kho("copy", there, f"oci:{tmp_path}/with:1", "--referrers")
    assert (tmp_path / "with/blobs/sha256" / attached.removeprefix("sha256:")).exists()


def test_making_and_deleting(kho: CloudKho, there: str, account: Account) -> None:
    made = f"{account.reference}:made"
    kho("mutate", there, "--label", "a=b", "-t", made)
    kho("delete", "--image", made)
    assert kho.run("digest", made).status == 3
    assert kho.run("digest", there).status == 0


def test_artifacts(kho: CloudKho, account: Account, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"content")
    name = f"{account.reference}:artifact"
    kho("artifact", "push", name, tmp_path / "model.bin", "--artifact-type", "application/x.lab")
    kho("artifact", "pull", name, tmp_path / "back")
    assert [one.read_bytes() for one in (tmp_path / "back").rglob("*.bin")] == [b"content"]


def test_lists_of_repositories(kho: CloudKho, there: str, account: Account) -> None:
    del there
    ended = kho.run("ls", account.host)
    assert "Traceback" not in ended.said
    assert ended.status in (0, 3, 4)


@pytest.mark.parametrize("name", ["crane", "skopeo"])
def test_other_clients_see_the_same_clouds(
    name: str, planet: World, account: Account, there: str, image: SmallImage, tmp_path: Path
) -> None:
    """The clouds are shaped as others know them, too."""
    env = {"HOME": str(tmp_path), "SSL_CERT_FILE": str(planet.ca), "DOCKER_CONFIG": str(tmp_path)}
    env["REGISTRY_AUTH_FILE"] = str(tmp_path / "config.json")
    login = ["auth", "login"] if name == "crane" else ["login"]
    host = "index.docker.io" if account.host == "docker.io" and name == "crane" else account.host
    enter: list[str | Path] = [*planet.inside, program(name)]
    words = (*login, host, "-u", account.user, "--password-stdin")
    outcome(*enter, *words, env=env, stdin=account.secret).must_succeed()
    if name == "crane":
        said = outcome(*enter, "digest", there, env=env).must_succeed().said
        assert image.digest in said
        outcome(*enter, "pull", there, tmp_path / "image.tar", env=env).must_succeed()
    else:
        target = f"oci:{tmp_path}/pulled:1"
        outcome(*enter, "copy", f"docker://{there}", target, env=env).must_succeed()
