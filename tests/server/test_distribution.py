"""The configuration of registry:2, read as it is: its examples, and what comes before what."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kho.server.cli import main
from kho.server.config import describe, load
from kho.server.setting import Address
from tests.server.registry_two import (
    BASIC_EXAMPLE,
    OF_IMAGE_2,
    OF_IMAGE_3,
    TLS_EXAMPLE,
    WHOLE,
    changes,
    mistakes,
    read,
)


def test_the_tls_example() -> None:
    config = load({}, TLS_EXAMPLE)
    assert changes(config) == {
        "listen": Address("0.0.0.0", 443),
        "tls.cert": "/certs/domain.crt",
        "tls.key": "/certs/domain.key",
    }
    assert config.warnings == ()
    assert config.sources["listen"] == "environment REGISTRY_HTTP_ADDR"


def test_the_native_basic_example() -> None:
    config = load({}, {**TLS_EXAMPLE, **BASIC_EXAMPLE})
    assert changes(config) == {
        "listen": Address("0.0.0.0", 443),
        "tls.cert": "/certs/domain.crt",
        "tls.key": "/certs/domain.key",
        "auth.challenge": "basic",
        "auth.realm": "Registry Realm",
        "auth.htpasswd": "/auth/htpasswd",
        "auth.htpasswd_role": "maintainer",
    }
    assert config.warnings == ()


@pytest.mark.parametrize("text, tag", [(OF_IMAGE_2, "storage.cache"), (OF_IMAGE_3, "storage.tag")])
def test_the_file_of_the_image(text: str, tag: str, tmp_path: Path) -> None:
    config = read(text, tmp_path)
    found = changes(config)
    assert found.pop("listen") in {Address("::", 5000), Address("0.0.0.0", 5000)}
    assert found == {
        "data": Path("/var/lib/registry"),
        "storage": "file:///var/lib/registry",
    }
    imported, ignored = config.warnings
    assert "not listed until they are imported" in imported
    assert ignored == (
        "these settings of registry:2 have no meaning here and are ignored: "
        f"health, http.headers, log.fields, {tag}"
    )
    assert config.sources["storage"] == f"file {tmp_path}/config.yml"


def test_a_whole_file(tmp_path: Path) -> None:
    config = read(WHOLE, tmp_path)
    assert changes(config) == {
        "data": Path("/srv/registry blobs"),
        "storage": "file:///srv/registry%20blobs",
        "listen": Address("localhost", 5000),
        "http.public_url": "https://myregistryaddress.org:5000",
        "http.drain_seconds": 90.0,
        "limits.page": 10_000,
        "uploads.expire_hours": 36.0,
        "log.level": "debug",
        "log.format": "text",
        "log.access": False,
        "auth.challenge": "basic",
        "auth.realm": "basic-realm",
        "auth.htpasswd": "/path/to/htpasswd",
        "auth.htpasswd_role": "writer",
        "tls.cert": "/path/to/x509/public",
        "tls.key": "/path/to/x509/private",
        "tls.client_ca": "/path/to/ca.pem",
        "tls.client_auth": "optional",
        "tls.minimum": "1.3",
    }
    told = "\n".join(config.warnings)
    for name in ("notifications", "redis", "http.secret", "http.debug", "log.hooks", "policy"):
        assert name in told
    assert len(config.warnings) == 3
    assert "c4n4ry" not in told + repr(describe(config))


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = "version: 0.1\nhttp: {addr: nowhere}\nproxy: {remoteurl: https://a.example}\n"
    found = mistakes(text, tmp_path, {"REGISTRY_AUTH": "silly", "KHO_WORKERS": "-1"})
    assert len(found) == 4


def test_precedence(tmp_path: Path) -> None:
    text = "version: 0.1\nhttp: {addr: 'localhost:1', draintimeout: 1s}\nlog: {level: error}\n"
    (tmp_path / "kho.toml").write_text('listen = "localhost:3"\n')
    (tmp_path / "config.yml").write_text(text)
    flags: dict[str, object] = {"registry_config": str(tmp_path / "config.yml")}
    environ = {"REGISTRY_HTTP_ADDR": "localhost:2", "REGISTRY_LOG_LEVEL": "debug"}

    def port(**more: str) -> int:
        return load({**flags, **more}, environ).listen.port

    assert load(flags, {}).listen.port == 1
    assert port() == 2
    assert port(config=str(tmp_path / "kho.toml")) == 3
    environ["KHO_LISTEN"] = "localhost:4"
    assert port(config=str(tmp_path / "kho.toml")) == 4
    assert port(listen="localhost:5") == 5
    config = load(flags, environ)
    assert (config.log.level, config.http.drain_seconds) == ("debug", 1.0)
    assert config.sources["listen"] == "environment KHO_LISTEN"
    assert config.sources["log.level"] == "environment REGISTRY_LOG_LEVEL"
    assert config.sources["http.drain_seconds"] == f"file {tmp_path}/config.yml"


def test_the_flag_comes_before_the_variable(tmp_path: Path) -> None:
    (tmp_path / "other.yml").write_text("version: 0.1\nhttp: {addr: 'localhost:9'}\n")
    environ = {"REGISTRY_CONFIGURATION_PATH": str(tmp_path / "other.yml")}
    assert load({}, environ).listen.port == 9
    assert read("version: 0.1\nhttp: {addr: 'localhost:8'}\n", tmp_path, **environ).listen.port == 8


def test_variables_lie_over_the_file(tmp_path: Path) -> None:
    text = OF_IMAGE_2 + "auth: {token: {realm: 'https://a.example'}}\nredis: {addr: x}\n"
    config = read(
        text,
        tmp_path,
        REGISTRY_AUTH="htpasswd",
        REGISTRY_AUTH_HTPASSWD_PATH="/h",
        REGISTRY_STORAGE="inmemory",
        REGISTRY_HEALTH="",
        REGISTRY_HTTP_HEADERS="null",
        REGISTRY_REDIS_ADDR_DEEPER="1",
        REGISTRY_VERSION="9",
    )
    assert config.auth.htpasswd == "/h"
    assert config.token.realm == ""
    assert config.storage == "memory://"
    ignored, unfit = config.warnings
    assert ignored.endswith("ignored: log.fields, redis")
    assert unfit == "no settings of registry:2, ignored: REGISTRY_REDIS_ADDR_DEEPER"


def test_yaml_is_loaded_only_when_it_is_needed() -> None:
    code = (
        "import sys; from kho.server.config import load; load({}, %r); print('yaml' in sys.modules)"
    )

    def loaded(environ: dict[str, str]) -> str:
        command = [sys.executable, "-c", code % environ]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert loaded({"KHO_WORKERS": "1", "REGISTRY_AUTH_FILE": "/x"}) == "False"
    assert loaded({"REGISTRY_HTTP_SECRET": "1"}) == "True"


def khod(*words: str, **environ: str) -> tuple[int, str, str]:
    told = CliRunner().invoke(main, words, env=environ)
    return told.exit_code, told.stdout, told.stderr


def test_the_commands_know_it(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(OF_IMAGE_2)
    place = ("--registry-config", str(tmp_path / "config.yml"))
    code, told, error = khod("config", "check", *place)
    assert (code, told) == (0, "the configuration is right\n")
    assert error.startswith("khod: warning: images that registry:2 has put")
    code, told, _ = khod("config", "show", "--json", *place, **TLS_EXAMPLE)
    assert json.loads(told)["storage"]["source"] == f"file {tmp_path}/config.yml"
    assert json.loads(told)["tls.cert"]["source"] == "environment REGISTRY_HTTP_TLS_CERTIFICATE"
    code, told, error = khod("config", "check", *place, REGISTRY_AUTH="silly")
    assert (code, told) == (2, "")
    assert "auth.silly (environment REGISTRY_AUTH)" in error
