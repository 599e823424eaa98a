"""The configuration of registry:2, read as it is."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from kho.server.cli import main
from kho.server.config import ConfigError, describe, load
from kho.server.setting import Address
from kho.server.settings import SETTINGS, Config, value_of

TLS_EXAMPLE = {
    "REGISTRY_HTTP_ADDR": "0.0.0.0:443",
    "REGISTRY_HTTP_TLS_CERTIFICATE": "/certs/domain.crt",
    "REGISTRY_HTTP_TLS_KEY": "/certs/domain.key",
}
BASIC_EXAMPLE = {
    "REGISTRY_AUTH": "htpasswd",
    "REGISTRY_AUTH_HTPASSWD_REALM": "Registry Realm",
    "REGISTRY_AUTH_HTPASSWD_PATH": "/auth/htpasswd",
}
OF_IMAGE_2 = """\
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
"""
OF_IMAGE_3 = OF_IMAGE_2.replace(
    "cache:\n    blobdescriptor: inmemory", "tag:\n    concurrencylimit: 8"
)
WHOLE = """\
version: 0.1
log:
  accesslog:
    disabled: true
  level: debug
  formatter: text
  fields:
    service: registry
    environment: staging
  hooks:
    - type: mail
      levels: [panic]
      options: {smtp: {addr: mail.example.com:25, username: mailuser, password: c4n4ry}}
storage:
  filesystem:
    rootdirectory: /srv/registry blobs
    maxthreads: 100
  delete:
    enabled: false
  redirect:
    disable: false
  cache:
    blobdescriptor: redis
    blobdescriptorsize: 10000
  maintenance:
    uploadpurging:
      enabled: true
      age: 36h
      interval: 24h
      dryrun: false
    readonly:
      enabled: false
  tag:
    concurrencylimit: 5
auth:
  htpasswd:
    realm: basic-realm
    path: /path/to/htpasswd
middleware:
  registry:
    - name: ARegistryMiddleware
      options: {foo: bar}
http:
  addr: localhost:5000
  net: tcp
  prefix: /
  host: https://myregistryaddress.org:5000/
  secret: c4n4ry
  relativeurls: false
  draintimeout: 1m30s
  tls:
    certificate: /path/to/x509/public
    key: /path/to/x509/private
    clientcas:
      - /path/to/ca.pem
    clientauth: verify-client-cert-if-given
    minimumtls: tls1.3
    ciphersuites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]
    letsencrypt:
  debug:
    addr: localhost:5001
    prometheus: {enabled: true, path: /metrics}
  headers:
    X-Content-Type-Options: [nosniff]
  http2: {disabled: false}
  h2c: {enabled: false}
notifications:
  events: {includereferences: true}
  endpoints:
    - name: alistener
      url: https://user:c4n4ry@my.listener.com/event
      headers: {Authorization: [c4n4ry]}
      timeout: 1s
redis:
  addrs: [localhost:16379]
  password: c4n4ry
health:
  file: [{file: /path/to/checked/file, interval: 10s}]
proxy:
  username:
  password:
validation:
  manifests:
    urls:
      allow: ['^https?://([^/]+\\.)*example\\.com/']
catalog:
  maxentries: 500
tags:
  maxtags: 20000
policy:
  repository:
    classes: [image]
"""


def changes(config: Config) -> dict[str, Any]:
    """What is not a default, by key."""
    return {
        key: value_of(config, key)
        for key, one in SETTINGS.items()
        if value_of(config, key) != one.default
    }


def read(text: str | bytes, folder: Path, **environ: str) -> Config:
    (folder / "config.yml").write_bytes(text.encode() if isinstance(text, str) else text)
    return load({"registry_config": str(folder / "config.yml")}, environ)


def mistakes(text: str | None, folder: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    flags: dict[str, object] = {}
    if text is not None:
        (folder / "config.yml").write_text(text)
        flags["registry_config"] = str(folder / "config.yml")
    with pytest.raises(ConfigError) as caught:
        load(flags, environ or {})
    return [str(one).replace(str(folder), "") for one in caught.value.problems]


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


@pytest.mark.parametrize(
    "variables, expected",
    [
        ("HTTP_ADDR=localhost:7000", {"listen": Address("localhost", 7000)}),
        ("HTTP_ADDR=", {}),
        ("HTTP_ADDR='[::1]:7000'", {"listen": Address("::1", 7000)}),
        ("HTTP_HOST=https://hub.example.com/", {"http.public_url": "https://hub.example.com"}),
        ("HTTP_DRAINTIMEOUT=60s", {"http.drain_seconds": 60.0}),
        ("HTTP_DRAINTIMEOUT=1.5m0.5s", {"http.drain_seconds": 90.5}),
        ("HTTP_DRAINTIMEOUT=2000000000", {"http.drain_seconds": 2.0}),
        ("HTTP_DRAINTIMEOUT=0", {"http.drain_seconds": 0.0}),
        ("HTTP_TLS={certificate: /c, key: /k}", {"tls.cert": "/c", "tls.key": "/k"}),
        ("HTTP_TLS_CLIENTCAS=[/ca]", {"tls.client_ca": "/ca"}),
        ("HTTP_TLS_CLIENTCAS_0=/ca", {"tls.client_ca": "/ca"}),
        ("HTTP_TLS_CLIENTAUTH=require-and-verify-client-cert", {}),
        ("HTTP_TLS_MINIMUMTLS=tls1.2", {}),
        ("HTTP_NET=tcp HTTP_PREFIX=/", {}),
        ("LOG_LEVEL=warn", {"log.level": "warning"}),
        ("LOGLEVEL=DEBUG", {"log.level": "debug"}),
        ("LOG_ACCESSLOG_DISABLED=true", {"log.access": False}),
        ("LOG_ACCESSLOG_DISABLED=no", {}),
        ("STORAGE=inmemory", {"storage": "memory://", "workers": 1}),
        ("STORAGE_INMEMORY=", {"storage": "memory://", "workers": 1}),
        (
            "STORAGE_FILESYSTEM_ROOTDIRECTORY=/data",
            {"storage": "file:///data", "data": Path("/data")},
        ),
        (
            "STORAGE=filesystem STORAGE_DELETE_ENABLED=true",
            {"storage": "file:///var/lib/registry", "data": Path("/var/lib/registry")},
        ),
        ("CATALOG_MAXENTRIES=10", {"limits.page": 10}),
        ("CATALOG_MAXENTRIES=10 TAGS_MAXTAGS=20", {"limits.page": 20}),
        ("STORAGE_MAINTENANCE_UPLOADPURGING_AGE=168h", {}),
        ("STORAGE_MAINTENANCE_UPLOADPURGING_AGE=90m", {"uploads.expire_hours": 1.5}),
        (
            "AUTH_HTPASSWD_PATH=/h",
            {"auth.challenge": "basic", "auth.htpasswd": "/h", "auth.htpasswd_role": "maintainer"},
        ),
        (
            "AUTH_HTPASSWD_PATH=/h STORAGE_DELETE_ENABLED=false",
            {"auth.challenge": "basic", "auth.htpasswd": "/h", "auth.htpasswd_role": "writer"},
        ),
        (
            (
                "AUTH=token AUTH_TOKEN_REALM=https://a.example/token AUTH_TOKEN_SERVICE=s"
                " AUTH_TOKEN_ISSUER=i AUTH_TOKEN_ROOTCERTBUNDLE=/r AUTH_TOKEN_JWKS=/j"
                " AUTH_TOKEN_SIGNINGALGORITHMS_0=ES256 AUTH_TOKEN_SIGNINGALGORITHMS_1=RS256"
            ),
            {
                "token.realm": "https://a.example/token",
                "token.service": "s",
                "token.issuer": "i",
                "token.rootcertbundle": "/r",
                "token.jwks": "/j",
                "token.algorithms": ("ES256", "RS256"),
            },
        ),
    ],
)
def test_variables(variables: str, expected: dict[str, Any]) -> None:
    assert changes(load({}, environment(variables))) == expected


def environment(variables: str) -> dict[str, str]:
    """`A=1 B={a: b}` as variables of registry:2."""
    found: dict[str, str] = {}
    for word in variables.split(" "):
        name, sign, value = word.partition("=")
        if sign and name.isupper():
            found[last := "REGISTRY_" + name] = value
        else:
            found[last] += " " + word
    return found


@pytest.mark.parametrize(
    "variables, named",
    [
        ("HTTP_ADDR=5000", "listen (environment REGISTRY_HTTP_ADDR): '5000' is not allowed"),
        ("HTTP_ADDR=[a, b]", "http.addr (environment REGISTRY_HTTP_ADDR): allowed is text"),
        ("HTTP_ADDR={", "http.addr (environment REGISTRY_HTTP_ADDR): the value is not YAML"),
        ("HTTP_DRAINTIMEOUT=soon", 'allowed is a duration such as "30s"'),
        ("HTTP_DRAINTIMEOUT=-1s", 'allowed is a duration such as "30s"'),
        ("HTTP_DRAINTIMEOUT=100h", "is not allowed; allowed is seconds"),
        ("HTTP_HOST=hub.example.com", "http.public_url (environment REGISTRY_HTTP_HOST)"),
        ("HTTP_NET=unix", "http.net (environment REGISTRY_HTTP_NET): khod listens on TCP only"),
        ("HTTP_PREFIX=/hub/", "http.prefix (environment REGISTRY_HTTP_PREFIX): khod serves at"),
        ("HTTP_TLS_LETSENCRYPT_EMAIL=a@b.example", "for example from certbot"),
        ("HTTP_TLS_CLIENTCAS=[/a, /b]", "allowed is one file"),
        ("HTTP_TLS_CLIENTCAS_1=/a", "'1' is no index here; allowed are 0 to 0"),
        ("HTTP_TLS_CLIENTAUTH=request-client-cert", "allowed is one of require-and-verify"),
        ("HTTP_TLS_MINIMUMTLS=ssl3", "allowed is one of tls1.0"),
        ("LOG_LEVEL=loud", "log.level (environment REGISTRY_LOG_LEVEL): 'loud' is not allowed"),
        ("LOG_ACCESSLOG_DISABLED=perhaps", "allowed is true or false"),
        ("STORAGE=s3", "storage.s3 (environment REGISTRY_STORAGE): is not available yet"),
        ("STORAGE_S3_BUCKET=b", "storage.s3 (environment REGISTRY_STORAGE_S3_BUCKET)"),
        ("STORAGE=azure", "allowed are filesystem and inmemory"),
        ("STORAGE_INMEMORY= STORAGE_FILESYSTEM_ROOTDIRECTORY=/a", "cannot be used together"),
        ("STORAGE_FILESYSTEM_ROOTDIRECTORY=[/a]", "allowed is text"),
        ("STORAGE_DELETE_ENABLED=2", "storage.delete.enabled (environment"),
        ("CATALOG_MAXENTRIES=0", "allowed is a whole number above 0"),
        ("AUTH=silly", "auth.silly (environment REGISTRY_AUTH): is not available; allowed"),
        ("AUTH=none", "allowed are htpasswd, token, or no auth at all"),
        ("AUTH=htpasswd", "auth.htpasswd.path (environment REGISTRY_AUTH): is missing"),
        ("AUTH=token AUTH_TOKEN_REALM=https://a/", "auth.token.issuer (environment"),
        ("AUTH_HTPASSWD_PATH=/h AUTH_TOKEN_REALM=https://a/", "cannot be used together"),
        ("AUTH=[htpasswd]", "auth (environment REGISTRY_AUTH): allowed is a map of settings"),
        ("PROXY_REMOTEURL=https://a.example", "a mirror of another registry is not available yet"),
    ],
)  # fmt: skip
def test_mistakes_in_variables(variables: str, named: str, tmp_path: Path) -> None:
    assert any(named in one for one in mistakes(None, tmp_path, environment(variables)))


@pytest.mark.parametrize(
    "text, named",
    [
        ("", "registry-config (file /config.yml): allowed is a map that begins with version: 0.1"),
        ("[]", "allowed is a map"),
        ("http: {addr: ':1'}", "version (file /config.yml): allowed is 0.1"),
        ("version: 0.2", "version (file /config.yml): allowed is 0.1"),
        ("version: [0.1]", "version (file /config.yml): allowed is 0.1"),
        ("version: 0.1\nhttp: {", "is not YAML (at line 2, column 8)"),
        ("version: 0.1\nhttp:\n\taddr: x", "is not YAML (at line 3, column 1)"),
        ("version: 0.1\nhttp: c4n4ry: c4n4ry", "is not YAML (at line 2, column 13)"),
        ("version: 0.1\nlog: {}\nlog: {}", "has a key twice (at line 3)"),
        ("version: 0.1\n? [a, b]\n: c", "has a key that is not text (at line 2)"),
        ("version: 0.1\n--- {}\n", "is not YAML"),
        ("version: 0.1\nx: &a {}\nlog:\n  <<: *a", "merges keys with <<"),
        ("version: 0.1\nhttp: *gone", "is not YAML (at line 2"),
        ("version: 0.1\nhttp: true", "http"),
        ("version: 0.1\nx: " + "[" * 100, "is nested deeper than 24 levels"),
        ("version: 0.1\nx: " + "a" * 70_000, "is longer than 65536 characters"),
        ("version: 0.1\nx: \0", "is not YAML"),
    ],
)
def test_mistakes_in_the_file(text: str, named: str, tmp_path: Path) -> None:
    if named == "http":
        assert read(text, tmp_path).warnings == ("no settings of registry:2, ignored: http",)
        return
    (found,) = mistakes(text, tmp_path)
    assert named in found
    assert "c4n4ry" not in found


def test_a_file_that_is_not_there_or_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        load({"registry_config": str(tmp_path / "gone")}, {})
    with pytest.raises(ConfigError, match="Is a directory"):
        load({}, {"REGISTRY_CONFIGURATION_PATH": str(tmp_path)})
    with pytest.raises(ConfigError, match="is not UTF-8"):
        read(b"version: 0.1\nx: \xff", tmp_path)


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


@pytest.mark.parametrize(
    "variables, told",
    [
        ("HTTP_TLS_MINIMUMTLS=tls1.0", "http.tls.minimumtls: tls1.0 is too old"),
        ("LOG_FORMATTER=logstash", "log.formatter: logstash is json here"),
        ("STORAGE_MAINTENANCE_READONLY_ENABLED=true", "WRITES ARE ACCEPTED"),
        ("STORAGE_DELETE_ENABLED=false", "has no meaning here: who may delete"),
        ("TAGS_MAXTAGS=20000", "pages of 20000 entries are too long; 10000 it is"),
        ("COLOUR=c4n4ry", "no settings of registry:2, ignored: REGISTRY_COLOUR"),
        ("HTTP_COLOUR=c4n4ry", "no settings of registry:2, ignored: REGISTRY_HTTP_COLOUR"),
        ("HTTP_=c4n4ry", "no settings of registry:2, ignored: REGISTRY_HTTP_"),
        ("PASSWORD=%c4n4ry", "no settings of registry:2, ignored: REGISTRY_PASSWORD"),
        ("HTTP_SECRET=c4n4ry", "are ignored: http.secret"),
        ("NOTIFICATIONS_ENDPOINTS_0_URL=https://c4n4ry", "are ignored: notifications"),
        ("VALIDATION_DISABLED=true", "are ignored: validation"),
        ("PROXY_USERNAME=c4n4ry", "are ignored: proxy"),
    ],
)  # fmt: skip
def test_warnings(variables: str, told: str) -> None:
    (warning,) = load({}, environment(variables)).warnings
    assert told in warning
    assert "c4n4ry" not in warning


@pytest.mark.parametrize(
    "name", ["AUTH_FILE", "PORT", "PORT_5000_TCP_ADDR", "SERVICE_HOST", "SERVICE_PORT_HTTP"]
)
def test_variables_of_others_are_left_alone(name: str) -> None:
    config = load({}, {f"REGISTRY_{name}": "tcp://10.0.0.1:5000"})
    assert config == Config()
    assert config.warnings == ()


def test_a_bomb_of_aliases_is_told_quickly(tmp_path: Path) -> None:
    lines = ["version: 0.1", "a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]
    started = time.monotonic()
    (found,) = mistakes("\n".join(lines), tmp_path)
    assert "grows too large by its aliases" in found
    assert "recursive" not in mistakes("version: 0.1\na: &a [*a]", tmp_path)
    assert time.monotonic() - started < 10


def test_an_alias_is_a_copy(tmp_path: Path) -> None:
    config = read("version: 0.1\nx: &place localhost:7\nhttp: {addr: *place}\n", tmp_path)
    assert config.listen.port == 7


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


# fmt: off
PARTS = (
    "HTTP", "TLS", "ADDR", "CLIENTCAS", "0", "1", "AUTH", "HTPASSWD", "TOKEN", "REALM", "PATH",
    "STORAGE",
    "FILESYSTEM", "ROOTDIRECTORY", "DELETE", "ENABLED", "MAINTENANCE", "READONLY", "CATALOG", "LOG",
    "MAXENTRIES", "LEVEL", "PROXY", "REMOTEURL", "X",
)
# fmt: on
PATHS = st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=5)
ODD = (
    "",
    "htpasswd",
    "inmemory",
    "{a: b}",
    "[a, b]",
    "{}",
    "[]",
    "&a [*a]",
    "!!python/none x",
    "1",
)
ESCAPES = ('"\\UFFFFFFFF"', '"\\uD800"', '"\\0"', "!<%> x", "%YAML 9.9", "? ", "- - -", "<<: *a")
TEXTS = (
    st.text(max_size=30)
    | st.sampled_from(ODD + ESCAPES)
    | st.text("&*{}[]:,?!%@-#|>\"'\\ \naA1~<", max_size=20)
)
ENVIRONMENTS = st.dictionaries(PATHS.map(lambda parts: "REGISTRY_" + "_".join(parts)), TEXTS)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([part.lower() for part in PARTS])
            | st.text(st.characters(), max_size=3),
            inner,
        )
    ),
    max_leaves=12,
)
FILES = (
    st.binary()
    | TEXTS.map(lambda text: f"version: 0.1\nhttp: {text}\n".encode())
    | TEXTS.map(lambda text: text.encode())
    | TREES.map(lambda tree: json.dumps(tree).encode())
    | st.dictionaries(st.sampled_from(("http", "auth", "storage", "log", "tags")), TREES).map(
        lambda tree: json.dumps({"version": "0.1", **tree}).encode()
    )
)


@given(ENVIRONMENTS, FILES)
def test_whatever_is_given_only_mistakes_are_raised(
    tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str], content: bytes
) -> None:
    with contextlib.suppress(ConfigError):
        config = read(content, tmp_path_factory.getbasetemp(), **environ)
        assert all(one.isprintable() for one in config.warnings)
