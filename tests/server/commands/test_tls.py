"""`khod tls`: what it makes is what clients accept, and nothing is overwritten."""

import json
import ssl
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509

from kho.server.cli import main
from tests.server.serving import serving


def khod(*words: str | Path) -> tuple[int, str, str]:
    told = CliRunner().invoke(main, ["tls", *map(str, words)])
    return told.exit_code, told.stdout, told.stderr


def made(folder: Path, *names: str) -> str:
    words = [word for name in names for word in ("--name", name)]
    code, told, error = khod("init", "--folder", folder, *words)
    assert (code, error) == (0, "")
    return told


def test_init_makes_what_serves(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    told = made(folder, "kho.lan", "*.team.example", "192.0.2.7", "2001:db8::7")
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"ca.crt": 0o644, "ca.key": 0o600, "server.crt": 0o644, "server.key": 0o600}
    for line in ("/etc/docker/certs.d/kho.lan:5000/ca.crt", "hosts.toml", "update-ca-certificates"):
        assert line in told
    more = {"tls.cert": folder / "server.crt", "tls.key": folder / "server.key"}
    with serving(tmp_path / "data", more, workers=1) as server:
        server.ready()
        server.context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        server.context.verify_flags |= ssl.VERIFY_X509_STRICT
        assert server.get("/")


@pytest.mark.parametrize(
    "name, accepted",
    [("kho.lan", True), ("a.team.example", True), ("192.0.2.7", True), ("other.lan", False)],
)
def test_openssl_agrees(name: str, accepted: bool, tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    made(folder, "kho.lan", "*.team.example", "192.0.2.7")
    check = "-verify_ip" if name[0].isdigit() else "-verify_hostname"
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(folder / "ca.crt"), check, name]
    ended = subprocess.run(
        [*command, str(folder / "server.crt")], capture_output=True, check=False, timeout=60
    )
    assert (ended.returncode == 0) is accepted, ended.stderr


def test_the_ca_can_sign_for_its_names_alone(tmp_path: Path) -> None:
    made(tmp_path, "kho.lan")
    ca = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    limits = ca.extensions.get_extension_for_class(x509.NameConstraints)
    assert limits.critical
    names = {str(one.value) for one in limits.value.permitted_subtrees or ()}
    assert names == {"kho.lan", "localhost", "127.0.0.1/32", "::1/128"}


def test_nothing_is_overwritten_and_the_ca_renews(tmp_path: Path) -> None:
    made(tmp_path, "kho.lan")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    code, _, error = khod("init", "--folder", tmp_path, "--name", "kho.lan")
    assert (code, error.count("\n")) == (5, 1)
    assert "is there already; nothing is overwritten" in error
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}
    for name in ("server.crt", "server.key"):
        (tmp_path / name).unlink()
    code, _, error = khod("init", "--folder", tmp_path, "--name", "other.lan")
    assert code == 2
    assert "does not sign for other.lan" in error
    made(tmp_path, "kho.lan")
    assert (tmp_path / "ca.crt").read_bytes() == before[tmp_path / "ca.crt"]
    assert (tmp_path / "server.crt").read_bytes() != before[tmp_path / "server.crt"]
    (tmp_path / "ca.key").unlink()
    (tmp_path / "server.crt").unlink()
    (tmp_path / "server.key").unlink()
    assert "without its other half" in khod("init", "--folder", tmp_path)[2]


@pytest.mark.parametrize("name", ["", "a b", "-a", "https://a", "a:5000", "a/b", "a..b", "a" * 254])
def test_names_that_are_none(name: str, tmp_path: Path) -> None:
    code, told, error = khod("init", "--folder", tmp_path / "tls", "--name", name)
    assert (code, told) == (2, "")
    assert "neither a host name nor an address" in error
    assert not (tmp_path / "tls").exists()


def test_show(tmp_path: Path) -> None:
    made(tmp_path, "kho.lan")
    code, told, _ = khod("show", tmp_path / "server.crt", "--json")
    assert code == 0
    (row,) = json.loads(told)
    assert row["names"] == ["kho.lan", "localhost", "127.0.0.1", "::1"]
    assert row["days_left"] == 824
    assert row["issuer"].startswith("CN=Kho lab CA ")
    code, told, _ = khod("show", tmp_path / "ca.crt")
    assert (code, "days left    3649" in told) == (0, True)
    assert khod("show", tmp_path / "ca.key")[0] == 1
    assert "cannot be read" in khod("show", tmp_path / "absent")[2]
